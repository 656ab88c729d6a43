import t from 'tap'
import { SessionEnding, type Why } from '../src/session-ending.js'
import { FakeClock } from './fixtures/fake-clock.js'

function ending({ hasClient = true, isWaiting = false } = {}) {
  const clock = new FakeClock(0)
  const calls: string[] = []
  const codeOf = (why: Why) => why().code.slice('FST_DB_'.length)
  const host = {
    returnTimeout: 100,
    setTimer: (ms: number, fn: () => void) => clock.setTimer(ms, fn)
  }
  const ending = new SessionEnding(host, {
    hasClient,
    isWaiting,
    refuse: why => calls.push(`stop ${codeOf(why)}`),
    release: () => calls.push('release'),
    cancel: why => calls.push(`cancel ${codeOf(why)}`),
    giveUp: error => calls.push(`give up: ${error instanceof Error && error.message}`)
  })
  return { calls, clock, ending }
}

t.test('what runs at the end has a bounded time', async t => {
  const { calls, clock, ending: one } = ending()
  one.end()
  one.end()
  t.equal(one.isEnded, true)
  t.strictSame(calls, ['stop CONNECTION_CLOSED', 'release'])
  await clock.advance(100)
  t.match(calls[2], /^give up: The session was still busy/)
})

t.test('given back in time, nothing is left to give up', async t => {
  const returned = ending()
  returned.ending.end()
  returned.ending.onReturned()
  const without = ending({ hasClient: false })
  without.ending.end()
  for (const { calls, clock } of [returned, without]) {
    await clock.advance(100)
    t.equal(calls.length, 2)
  }
})

t.test('when the HTTP client has left, what runs is cancelled', async t => {
  const { calls, ending: one } = ending()
  one.abort()
  t.strictSame(calls, ['stop CLIENT_GONE', 'release', 'cancel CLIENT_GONE'])
})

t.test('a request that may finish goes on, in bounded time', async t => {
  const { calls, clock, ending: one } = ending()
  t.equal(one.linger(), true)
  t.match(one, { isEnded: false, isLingering: true })
  t.equal(one.linger(), true)
  await clock.advance(100)
  t.equal(one.isEnded, true)
  t.match(calls.at(-1), /^give up: The request went on long after/)
  t.equal(one.linger(), false)
})

t.test('ended meanwhile, it has no more than the usual time', async t => {
  const { calls, clock, ending: one } = ending({ hasClient: false })
  one.linger()
  one.end()
  await clock.advance(100)
  t.strictSame(calls, ['release', 'stop CONNECTION_CLOSED', 'release'])
})

t.test('who still waits for a client does not go on', async t => {
  const { calls, ending: one } = ending({ hasClient: false, isWaiting: true })
  t.equal(one.linger(), false)
  t.strictSame(calls, ['stop CLIENT_GONE', 'release', 'cancel CLIENT_GONE'])
})
