import t from 'tap'
import { Lease, Slot } from '../../src/pool/slot.js'
import { FakeClient } from '../fixtures/fake-client.js'
import { FakeClock } from '../fixtures/fake-clock.js'

t.test(
  'P06: a new slot has no client, belongs to a generation and never grows too old',
  async t => {
    const slot = new Slot<FakeClient>(7, false)
    t.equal(slot.generation, 7)
    t.equal(slot.client, undefined)
    t.equal(slot.expiresAt, Number.POSITIVE_INFINITY)
    t.equal(slot.isFresh, false)
    t.equal(slot.isSoft, false)
  }
)

t.test('a slot knows whether anybody waits for it', async t => {
  t.equal(new Slot<FakeClient>(0, false).isBackground, false)
  t.equal(new Slot<FakeClient>(0, true).isBackground, true)
})

t.test("P11: a lease has the client itself, and its slot's generation", async t => {
  const client = new FakeClient(1, new FakeClock(), () => {})
  const lease = new Lease(new Slot<FakeClient>(3, false), client)
  t.equal(lease.client, client)
  t.equal(lease.generation, 3)
})

t.test('a lease begins neither returned nor detached', async t => {
  const lease = new Lease(
    new Slot<FakeClient>(0, false),
    new FakeClient(1, new FakeClock(), () => {})
  )
  t.equal(lease.isReturned, false)
  t.equal(lease.isDetached, false)
})
