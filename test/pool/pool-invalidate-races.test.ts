import t from 'tap'
import { socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, start, takeMany } from '../fixtures/fake-pool.js'

t.test('X20: a client whose connect began before an invalidation is not lent', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 1 })
  server.script('hang', 'ok')
  const checkout = start(pool)
  pool.invalidate(socketReset())
  server.hanging[0]!.succeed()
  await settle()
  t.equal(checkout.value.client.id, 2)
  t.equal(checkout.value.generation, 1)
  t.equal(server.connects, 2)
  t.strictSame(events, ['generation 1', 'close 1 generation', 'checkout 2'])
  t.strictSame(server.closes, [1, 0])
})

t.test('X20: a client of an old generation on arrival counts for no try', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('hang', 'hang', 'hang', 'hang')
  const checkout = start(pool)
  for (const round of [0, 1, 2]) {
    pool.invalidate(socketReset())
    server.hanging[round]!.succeed()
    await settle()
  }
  t.equal(checkout.state, 'pending')
  server.hanging[3]!.succeed()
  await settle()
  t.equal(checkout.value.client.id, 4)
})

t.test(
  'X20: with nobody waiting any more a client of an old generation is closed all the same',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 1 })
    server.script('hang')
    const caller = new AbortController()
    start(pool, { signal: caller.signal })
    caller.abort()
    pool.invalidate(socketReset())
    server.hanging[0]!.succeed()
    await settle()
    t.match(pool.status(), { size: 0, idle: 0 })
    t.strictSame(server.closes, [1])
    t.equal(server.connects, 1)
  }
)

t.test('X22: an invalidation in the tick in which a client has connected replaces it', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('hang', 'ok')
  const checkout = start(pool)
  server.hanging[0]!.succeed()
  pool.invalidate(socketReset())
  await settle()
  t.equal(checkout.value.generation, 1)
  t.strictSame(server.closes, [1, 0])
})

t.test(
  'X22: a client lent in the tick of the invalidation is replaced when it comes back',
  async t => {
    const { pool, clock, server } = buildPool(t, { poolSize: 1 })
    const before = clock.now()
    const [lease] = await takeMany(pool, 1)
    pool.invalidate(undefined)
    pool.checkin(lease!)
    t.equal(clock.now(), before)
    t.strictSame(server.closes, [1])
  }
)

t.test('an invalidation during a reset closes the client after it', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  lease!.client.resetReply = 'hang'
  pool.checkin(lease!)
  pool.invalidate(undefined)
  lease!.client.answer()
  await settle()
  t.strictSame(server.closes, [1])
  t.strictSame(events.slice(-2), ['close 1 generation', 'checkin'])
  await assertFullCapacity(pool, 1)
})
