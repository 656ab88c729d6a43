import t from 'tap'
import { Checkout } from '../src/pool/checkout.js'
import { Lease, Slot } from '../src/pool/slot.js'
import { SharedCheckout } from '../src/shared-checkout.js'
import { FakeClient } from './fixtures/fake-client.js'
import { FakeClock } from './fixtures/fake-clock.js'

/** A checkout that the test settles, and that can be called off. */
function checkout() {
  const one = new Checkout<FakeClient>(0, 0)
  const client = new Lease(
    new Slot<FakeClient>(0, false),
    new FakeClient(1, new FakeClock(), () => {})
  )
  return { shared: new SharedCheckout(one), client, grant: () => one.resolve(client) }
}

t.test('everybody who waits gets the same', async t => {
  const { client, grant, shared } = checkout()
  const waiting = [shared.wait(undefined), shared.wait([new AbortController().signal])]
  grant()
  t.strictSame(await Promise.all(waiting), [client, client])
})

t.test('who leaves is told the reason, and the others wait on', async t => {
  const { client, grant, shared } = checkout()
  const leaving = new AbortController()
  const [left, stayed] = [shared.wait([leaving.signal]), shared.wait(undefined)]
  const reason = new Error('enough')
  leaving.abort(reason)
  await t.rejects(left, reason)
  t.equal(shared.isCalledOff, false)
  grant()
  t.equal(await stayed, client)
})

t.test('whoever was aborted while it began does not hear what becomes of it', async t => {
  const one = new Checkout<FakeClient>(0, 0)
  const shared = new SharedCheckout(one)
  const reason = new Error('gone')
  await t.rejects(shared.wait([AbortSignal.abort(reason)]), reason)
  const unheard: unknown[] = []
  const listener = (error: unknown) => unheard.push(error)
  process.on('unhandledRejection', listener)
  one.reject(new Error('nobody asks'))
  await new Promise(resolve => setImmediate(resolve))
  process.off('unhandledRejection', listener)
  t.strictSame(unheard, [])
})

t.test('the last one to leave calls it off', async t => {
  const { shared } = checkout()
  const leaving = [new AbortController(), new AbortController()]
  const waiting = leaving.map(({ signal }) => shared.wait([signal]))
  const settled = Promise.allSettled(waiting)
  for (const controller of leaving) controller.abort('enough')
  t.match(await settled, [{ reason: 'enough' }, { reason: 'enough' }])
  t.equal(shared.isCalledOff, true)
})

t.test('the last one to leave gets what was granted before', async t => {
  const { client, grant, shared } = checkout()
  const leaving = new AbortController()
  const waiting = shared.wait([leaving.signal])
  grant()
  leaving.abort('too late')
  t.equal(await waiting, client)
})

t.test('who was called off before does not join', async t => {
  const { shared } = checkout()
  await t.rejects(shared.wait([AbortSignal.abort(new Error('before'))]), /before/)
  shared.callOff(new Error('over'))
  await t.rejects(shared.wait(undefined), /over/)
})
