import t from 'tap'
import { mustVerify, unfitness } from '../../src/pool/liveness.js'
import { Slot } from '../../src/pool/slot.js'
import { FakeClient } from '../fixtures/fake-client.js'
import { FakeClock } from '../fixtures/fake-clock.js'

const BORN = 50_000
const RULES = { isPrePing: true, window: 500 }

function slotOf(generation = 0): { slot: Slot<FakeClient>; client: FakeClient } {
  const client = new FakeClient(1, new FakeClock(BORN), () => {})
  const slot = new Slot<FakeClient>(generation, false)
  slot.client = client
  return { slot, client }
}

t.test('without pool_pre_ping no client is verified', async t => {
  const { slot, client } = slotOf()
  t.equal(mustVerify(slot, client, { isPrePing: false, window: 0 }, BORN + 1_000_000), false)
})

t.test(
  'R01: a client connected for this checkout is not verified, even with a window of 0',
  async t => {
    const { slot, client } = slotOf()
    slot.isFresh = true
    t.equal(mustVerify(slot, client, { isPrePing: true, window: 0 }, BORN + 1_000_000), false)
  }
)

t.test('a client heard from within the window is not verified', async t => {
  const { slot, client } = slotOf()
  t.equal(mustVerify(slot, client, RULES, BORN), false)
  t.equal(mustVerify(slot, client, RULES, BORN + 499), false)
})

t.test('a client not heard from for the whole window is verified', async t => {
  const { slot, client } = slotOf()
  t.equal(mustVerify(slot, client, RULES, BORN + 500), true)
  t.equal(mustVerify(slot, client, RULES, BORN + 501), true)
})

t.test(
  'a window of 0 verifies at every checkout, also in the millisecond of the last answer',
  async t => {
    const { slot, client } = slotOf()
    t.equal(mustVerify(slot, client, { isPrePing: true, window: 0 }, BORN), true)
  }
)

t.test('it is the last sign of life that counts, not the birth', async t => {
  const { slot, client } = slotOf()
  client.heardAt = BORN + 10_000
  t.equal(mustVerify(slot, client, RULES, BORN + 10_100), false)
})

t.test('a client of the present generation may be lent', async t => {
  t.equal(unfitness(slotOf(4).slot, 4, BORN), undefined)
})

t.test('an older generation is not lent', async t => {
  t.equal(unfitness(slotOf(3).slot, 4, BORN), 'generation')
})

t.test('a client whose session is over is not lent', async t => {
  const { slot, client } = slotOf()
  client.lose(new Error('gone'))
  t.equal(unfitness(slot, 0, BORN), 'error')
})

t.test('a softly invalidated client is not lent', async t => {
  const { slot } = slotOf()
  slot.isSoft = true
  t.equal(unfitness(slot, 0, BORN), 'soft')
})

t.test('P61 X24: a client is lent at its age limit, and not after it', async t => {
  const { slot } = slotOf()
  slot.expiresAt = BORN + 300
  t.equal(unfitness(slot, 0, BORN + 299), undefined)
  t.equal(unfitness(slot, 0, BORN + 300), undefined)
  t.equal(unfitness(slot, 0, BORN + 300.1), 'recycle')
  t.equal(unfitness(slot, 0, BORN + 301), 'recycle')
})

t.test('a fresh client is never too old: it would be replaced for ever', async t => {
  const { slot } = slotOf()
  slot.isFresh = true
  slot.expiresAt = BORN - 1
  t.equal(unfitness(slot, 0, BORN), undefined)
})

t.test('a fresh client of an old generation, or without a session, is not lent', async t => {
  const { slot, client } = slotOf()
  slot.isFresh = true
  t.equal(unfitness(slot, 1, BORN), 'generation')
  client.lose(new Error('gone'))
  t.equal(unfitness(slot, 1, BORN), 'error')
})

t.test('of several reasons the one that says most is given', async t => {
  const { slot, client } = slotOf()
  slot.expiresAt = BORN - 1
  t.equal(unfitness(slot, 0, BORN), 'recycle')
  slot.isSoft = true
  t.equal(unfitness(slot, 0, BORN), 'soft')
  t.equal(unfitness(slot, 1, BORN), 'generation')
  client.lose(new Error('gone'))
  t.equal(unfitness(slot, 1, BORN), 'error')
})
