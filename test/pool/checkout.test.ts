import { getEventListeners } from 'node:events'
import t from 'tap'
import { Checkout } from '../../src/pool/checkout.js'
import { Deadlines } from '../../src/pool/deadlines.js'
import { Lease, Slot } from '../../src/pool/slot.js'
import { FakeClient } from '../fixtures/fake-client.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { Watched } from '../fixtures/fake-pool.js'

const NO_TIMERS = { foreground: 0, background: 0 }

/** A checkout that leaves after 100 ms, or when its caller does. */
function build() {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock)
  const caller = new AbortController()
  const checkout = new Checkout<FakeClient>(clock.now(), clock.now() + 100, {
    signal: caller.signal
  })
  const result = new Watched(checkout.promise)
  const log: string[] = []
  checkout.promise.catch(error => log.push(`rejected: ${error.message}`))
  const watch = () =>
    checkout.watch(deadlines, {
      timeoutError: () => {
        log.push('timed out')
        return new Error('too late')
      },
      onLeave: () => log.push(`left, settled: ${checkout.isSettled}`)
    })
  const listeners = () => getEventListeners(caller.signal, 'abort').length
  return { clock, caller, checkout, result, log, watch, listeners }
}

function lease(): Lease<FakeClient> {
  return new Lease(new Slot<FakeClient>(0, false), new FakeClient(1, new FakeClock(), () => {}))
}

t.test('checkouts know in which order they arrived', async t => {
  const first = new Checkout<FakeClient>(0, 0)
  const second = new Checkout<FakeClient>(0, 0)
  t.ok(first.order < second.order)
})

t.test('a checkout that is served at once sets no timer and listens to nobody', async t => {
  const { checkout, clock, listeners } = build()
  t.strictSame(clock.pending, NO_TIMERS)
  t.equal(listeners(), 0)
  const given = lease()
  checkout.resolve(given)
  t.equal(await checkout.promise, given)
  t.equal(checkout.isSettled, true)
})

t.test('at its deadline it leaves first and rejects then', async t => {
  const { checkout, clock, log, watch } = build()
  watch()
  await clock.advance(99)
  t.strictSame(log, [])
  await clock.advance(1)
  t.strictSame(log, ['timed out', 'left, settled: false', 'rejected: too late'])
  t.equal(checkout.isSettled, true)
})

t.test('a deadline that has passed already is kept too', async t => {
  const clock = new FakeClock()
  const checkout = new Checkout<FakeClient>(clock.now(), clock.now() - 5)
  const result = new Watched(checkout.promise)
  checkout.watch(new Deadlines(clock), {
    timeoutError: () => new Error('too late'),
    onLeave: () => {}
  })
  await clock.advance(0)
  t.match(result.error, { message: 'too late' })
})

t.test('when its caller leaves it rejects with the reason the caller gave', async t => {
  const { caller, clock, log, watch } = build()
  watch()
  caller.abort(new Error('gone home'))
  await clock.advance(1000)
  t.strictSame(log, ['left, settled: false', 'rejected: gone home'])
})

t.test('its time runs from its arrival, however often it waits', async t => {
  const { clock, log, watch } = build()
  watch()
  await clock.advance(60)
  watch()
  t.strictSame(clock.pending, { foreground: 1, background: 0 })
  await clock.advance(40)
  t.equal(log.at(-1), 'rejected: too late')
})

t.test('once settled it has neither timer nor listener, whatever settled it', async t => {
  const ends: ((built: ReturnType<typeof build>) => unknown)[] = [
    ({ checkout }) => checkout.resolve(lease()),
    ({ checkout }) => checkout.reject(new Error('no')),
    ({ caller }) => caller.abort(),
    ({ clock }) => clock.advance(100)
  ]
  for (const end of ends) {
    const built = build()
    built.watch()
    t.equal(built.listeners(), 1)
    await end(built)
    t.strictSame(built.clock.pending, NO_TIMERS)
    t.equal(built.listeners(), 0)
  }
})

t.test('the first outcome stays', async t => {
  const { caller, checkout, clock, log, result, watch } = build()
  watch()
  const given = lease()
  checkout.resolve(given)
  checkout.reject(new Error('no'))
  caller.abort()
  await clock.advance(1000)
  t.equal(result.value, given)
  t.strictSame(log, [])
})

t.test(
  'an abort in the tick of the hand-over comes too late, and the caller has the lease',
  async t => {
    const { caller, checkout, clock, result, watch } = build()
    watch()
    checkout.resolve(lease())
    caller.abort()
    await clock.advance(0)
    t.equal(result.state, 'resolved')
  }
)

t.test('its promise may be asked for later, when it is settled already', async t => {
  const served = new Checkout<FakeClient>(0, 0)
  t.equal(served.lease, undefined)
  const given = lease()
  served.resolve(given)
  t.equal(served.lease, given)
  t.equal(await served.promise, given)
  const refused = new Checkout<FakeClient>(0, 0)
  refused.reject(new Error('no'))
  t.equal(refused.lease, undefined)
  await t.rejects(refused.promise, { message: 'no' })
})

t.test('it can be left without a signal, once', async t => {
  const { checkout, clock, listeners, log, watch } = build()
  watch()
  checkout.leave(() => new Error('enough'))
  checkout.leave(() => t.fail('it was left already'))
  await clock.advance(1000)
  t.strictSame(log, ['left, settled: false', 'rejected: enough'])
  t.strictSame(clock.pending, NO_TIMERS)
  t.equal(listeners(), 0)
})
