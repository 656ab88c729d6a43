import t from 'tap'
import { Recovery } from '../../src/pool/recovery.js'
import { FakeClock } from '../fixtures/fake-clock.js'

const AWAY = new Error('connect ECONNREFUSED')
const FULL = new Error('too many clients')
const CUT = new Error('Connection terminated unexpectedly')

/** A gate that writes down what it does; probes do not answer by themselves. */
function build({ limit = 15, random = () => 0 }: { limit?: number; random?: () => number } = {}) {
  const clock = new FakeClock(0)
  const probes: number[] = []
  const prober = {}
  const news: string[] = []
  const recovery = new Recovery({
    clock,
    random,
    limit,
    probe: () => {
      probes.push(clock.now())
      return prober
    },
    onClosed: (error, isFull) => news.push(`${isFull ? 'full' : 'down'}: ${error}`),
    onOpened: (duration, wasFull) => news.push(`${wasFull ? 'room' : 'up'} after ${duration}`)
  })
  /** The server stays away until this clock reading. */
  const outageUntil = async (end: number) => {
    for (let seen = probes.length; ; seen = probes.length) {
      await clock.advance(recovery.nextProbeAt - clock.now())
      if (clock.now() >= end || probes.length === seen) return
      recovery.ended(prober)
      recovery.failed(AWAY, false)
    }
  }
  return { clock, prober, probes, news, recovery, outageUntil }
}

t.test('a quarter of the pool may connect at once, of a small one four', async t => {
  for (const [limit, allowed] of [
    [1, 4],
    [15, 4],
    [16, 4],
    [17, 5],
    [100, 25],
    [Number.POSITIVE_INFINITY, 25]
  ] as const) {
    const { recovery } = build({ limit })
    t.equal(recovery.allows(allowed - 1), true, `${limit}`)
    t.equal(recovery.allows(allowed), false, `${limit}`)
  }
})

t.test('a server that is away closes the gate, and one prober connects', async t => {
  const { clock, news, probes, recovery } = build()
  recovery.failed(AWAY, false)
  t.match(recovery, { state: 'down', isClosed: true, isFull: false, failure: AWAY })
  t.equal(recovery.allows(0), false)
  recovery.failed(new Error('of a connect that was under way'), false)
  await clock.advance(1000)
  t.strictSame(probes, [25], 'the next one only after this one has failed')
  t.strictSame(news, [`down: ${AWAY}`], 'told once')
})

t.test('the last failure is remembered', async t => {
  const { recovery } = build()
  const last = new Error('starting up')
  recovery.failed(AWAY, false)
  recovery.failed(last, false)
  t.equal(recovery.failure, last)
})

t.test('a young outage is probed every 25 to 45 ms', async t => {
  const slow = build({ random: () => 0.999_999_9 })
  slow.recovery.failed(AWAY, false)
  await slow.outageUntil(200)
  t.ok(slow.probes.length <= 5, `${slow.probes.length} at most every 45 ms`)
  const fast = build({ random: () => 0 })
  fast.recovery.failed(AWAY, false)
  await fast.outageUntil(200)
  t.equal(fast.probes.length, 8, 'at least every 25 ms, and no more than eight in 200 ms')
})

t.test('a long one at most once a second, jitter included', async t => {
  const { outageUntil, probes, recovery } = build({ random: () => 0.999_999_9 })
  recovery.failed(AWAY, false)
  await outageUntil(60_000)
  const late = probes.filter(at => at > 10_000)
  t.ok(late.length > 10)
  for (const [index, at] of late.slice(1).entries()) t.ok(at - (late[index] ?? 0) >= 1000)

  const slow = build({ random: () => 0 })
  slow.recovery.failed(AWAY, false)
  await slow.outageUntil(60_000)
  const pauses = slow.probes.map((at, index) => at - (slow.probes[index - 1] ?? 0))
  t.ok(Math.max(...pauses) < 1500, 'and often enough')
})

t.test(
  'the first success opens the gate for one connect, and each further one for one more',
  async t => {
    const { news, recovery } = build({ limit: 100 })
    recovery.failed(AWAY, false)
    recovery.succeeded(true)
    t.match(recovery, { state: 'recovering', isClosed: false, failure: undefined })
    t.strictSame(news.slice(1), ['up after 0'])
    for (let allowance = 1; allowance < 25; allowance += 1) {
      t.equal(recovery.allows(allowance - 1), true)
      t.equal(recovery.allows(allowance), false, `${allowance} at once`)
      t.equal(recovery.state, 'recovering')
      recovery.succeeded(true)
    }
    t.equal(recovery.state, 'up')
    t.equal(recovery.allows(24), true)
  }
)

t.test('without a backlog there is nothing to be slow about', async t => {
  const { recovery } = build()
  recovery.failed(AWAY, false)
  recovery.succeeded(false)
  t.equal(recovery.state, 'up')
  t.equal(recovery.allows(3), true)
})

t.test('a failure while it recovers closes the gate again', async t => {
  const { clock, news, probes, recovery } = build()
  recovery.failed(AWAY, false)
  recovery.succeeded(true)
  recovery.failed(AWAY, false)
  t.equal(recovery.state, 'down')
  t.equal(news.length, 3)
  await clock.advance(100)
  t.equal(probes.length, 1, 'the first prober is called off')
})

t.test('a server that took leave of its clients is met by one connect', async t => {
  const { recovery } = build()
  recovery.suspect()
  t.equal(recovery.state, 'up')
  t.equal(recovery.allows(0), true)
  t.equal(recovery.allows(1), false)
  recovery.succeeded(true)
  t.equal(recovery.allows(1), true)
})

t.test('a connect that was ended under way is no outage yet, the next one tells', async t => {
  const { news, recovery } = build()
  recovery.cutShort(CUT)
  t.match(recovery, { state: 'up', isClosed: false })
  t.equal(recovery.allows(0), true)
  t.equal(recovery.allows(1), false, 'one at a time')
  recovery.succeeded(true)
  recovery.cutShort(CUT)
  t.equal(recovery.isClosed, false, 'a success in between')
  recovery.cutShort(CUT)
  t.match(recovery, { state: 'down', isClosed: true, failure: CUT })
  recovery.cutShort(AWAY)
  t.equal(recovery.failure, AWAY)
  t.strictSame(news, [`down: ${CUT}`], 'once')
  recovery.succeeded(false)
  recovery.cutShort(CUT)
  t.equal(recovery.isClosed, false, 'after an outage too')
})

t.test('a full server paces connects, and is not away', async t => {
  const { clock, news, probes, recovery } = build()
  recovery.failed(FULL, true)
  t.match(recovery, { state: 'up', isClosed: true, isFull: true })
  await clock.advance(25)
  t.equal(probes.length, 1)
  recovery.succeeded(true)
  t.match(recovery, { state: 'up', isClosed: false, isFull: false })
  t.strictSame(news, [`full: ${FULL}`, 'room after 25'])
})

t.test('a connect that fails later than the probe started sends no second one', async t => {
  const { clock, prober, probes, recovery } = build()
  recovery.failed(AWAY, false)
  await clock.advance(25)
  recovery.ended({})
  recovery.failed(AWAY, false)
  await clock.advance(1000)
  t.strictSame(probes, [25])
  recovery.ended(prober)
  recovery.failed(AWAY, false)
  await clock.advance(25)
  t.strictSame(probes, [25, 1050])
})

t.test('nor does the next outage, as long as the last one’s probe is under way', async t => {
  const { clock, prober, probes, recovery } = build()
  recovery.failed(AWAY, false)
  await clock.advance(25)
  recovery.ended({})
  recovery.succeeded(false)
  recovery.failed(AWAY, false)
  await clock.advance(1000)
  t.strictSame(probes, [25])
  recovery.ended(prober)
  recovery.succeeded(false)
  t.equal(recovery.isClosed, false)
})

t.test('the longer an outage, the later to come back; never before the next probe', async t => {
  const { outageUntil, recovery } = build()
  t.equal(recovery.retryAfter, 0)
  recovery.failed(AWAY, false)
  t.equal(recovery.retryAfter, 25)
  await outageUntil(60_000)
  t.ok(recovery.retryAfter >= 15_000)
  recovery.succeeded(false)
  t.equal(recovery.retryAfter, 0)
})

t.test('once stopped it probes no more', async t => {
  const { clock, probes, recovery } = build()
  recovery.failed(AWAY, false)
  recovery.stop()
  recovery.failed(AWAY, false)
  await clock.advance(10_000)
  t.strictSame(probes, [])
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
})
