import t from 'tap'
import { ClientGoneError } from '../src/errors.js'
import { Failure } from '../src/failure.js'
import { CancelError } from '../src/session-errors.js'
import { StopSign } from '../src/stop-sign.js'
import { FakeClock } from './fixtures/fake-clock.js'

const canceled = Object.assign(new Error('canceling statement'), { code: '57014' })

function sign(deadline?: () => number | undefined) {
  const clock = new FakeClock(0)
  const { now } = clock
  const setTimer = (ms: number, fn: () => void) => clock.setTimer(ms, fn)
  return { clock, stop: new StopSign({ now: () => now.call(clock), setTimer }, deadline) }
}

t.test('without a deadline nothing is limited, and nothing stops', async t => {
  const { stop } = sign()
  t.match(stop, { isSet: false, deadline: undefined, timeLeft: undefined })
  t.doesNotThrow(() => stop.assertNotSet())
  t.equal(stop.reasonFor(canceled, undefined), undefined, "somebody else's cancel")
})

t.test('the first reason stays', async t => {
  const { stop } = sign()
  stop.set(cause => new ClientGoneError({ cause }))
  stop.set(() => new ClientGoneError({ cause: 'later' }))
  t.equal(stop.isSet, true)
  t.throws(() => stop.assertNotSet(), { code: 'FST_DB_CLIENT_GONE', cause: undefined })
})

t.test('the server is given whole milliseconds, and never strikes first', async t => {
  const { clock, stop } = sign(() => 10.2)
  t.equal(stop.timeLeft, 12)
  await clock.advance(20)
  t.equal(stop.timeLeft, 1)
  t.equal(stop.isSet, true)
  t.throws(() => stop.assertNotSet(), { code: 'FST_DB_DEADLINE' })
})

t.test('the deadline is told once, while it is watched and holds', async t => {
  let deadline: number | undefined = 10
  const { clock, stop } = sign(() => deadline)
  let told = 0
  const tell = () => {
    told += 1
  }
  stop.watch(tell)
  stop.watch(tell)
  stop.unwatch()
  await clock.advance(10)
  t.equal(told, 0)
  deadline = 20
  stop.watch(tell)
  await clock.advance(10)
  t.equal(told, 1)
  stop.unwatch()
  deadline = 30
  stop.watch(tell)
  deadline = undefined
  await clock.advance(10)
  t.equal(told, 1, 'it has ceased to hold')
})

t.test('a cancelled statement fails for the reason it was cancelled for', async t => {
  const { clock, stop } = sign(() => 10)
  const own = new Error('not needed any more')
  t.strictSame(stop.reasonFor(canceled, [AbortSignal.abort(own)]), { thrown: own })
  t.strictSame(stop.reasonFor(own, [AbortSignal.abort(own)]), { thrown: own })
  const inVain = new CancelError(new Error('no answer'))
  t.strictSame(stop.reasonFor(inVain, [AbortSignal.abort(own)]), { thrown: own })
  t.equal(stop.reasonFor(inVain, undefined), undefined)
  t.equal(stop.reasonFor(new Error('other'), [AbortSignal.abort(own)]), undefined)
  t.equal(stop.reasonFor(canceled, [new AbortController().signal]), undefined)
  await clock.advance(10)
  const late = stop.reasonFor(canceled, undefined)?.thrown
  t.match(late, { error: { code: 'FST_DB_DEADLINE', cause: canceled } })
  t.type(late, Failure, 'to be explained, as other failures of ours')
  stop.set(cause => new ClientGoneError({ cause }))
  t.match(stop.reasonFor(canceled, undefined), {
    thrown: { error: { code: 'FST_DB_CLIENT_GONE' } }
  })
})
