import t from 'tap'
import { loginRefused } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, takeMany } from '../fixtures/fake-pool.js'

t.test('P61 X24: a client is lent at exactly pool_recycle, and never after it', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 30_000 })
  await fillIdle(pool, 1)
  await clock.advance(30_000)
  const [atLimit] = await takeMany(pool, 1)
  t.equal(atLimit!.client.id, 1)
  pool.checkin(atLimit!)
  await clock.advance(1)
  const [after] = await takeMany(pool, 1)
  t.equal(after!.client.id, 2)
  t.strictSame(server.closes, [1, 0])
  pool.checkin(after!)
  await assertFullCapacity(pool, 1)
})

t.test('R49: a client too old is replaced while idle, before anybody asks', async t => {
  const { pool, clock, server, events } = buildPool(t, { recycle: 30_000 })
  await fillIdle(pool, 2)
  await clock.advance(30_001)
  t.strictSame(events.slice(-2), ['close 1 recycle', 'close 2 recycle'])
  t.strictSame(server.closes, [1, 1, 0, 0])
  t.match(pool.status(), { size: 2, idle: 2, connecting: 0 })
  const leases = await takeMany(pool, 2)
  t.equal(server.connects, 4, 'no borrower waits for a connect')
  for (const lease of leases) pool.checkin(lease)
  await assertFullCapacity(pool, 2)
})

t.test('a client too old is replaced when it comes back, in the background', async t => {
  const { pool, clock, server, events } = buildPool(t, { recycle: 30_000 })
  const [lease] = await takeMany(pool, 1)
  await clock.advance(30_001)
  t.strictSame(server.closes, [0], 'not while it is lent')
  server.script('hang')
  pool.checkin(lease!)
  t.strictSame(events.slice(-2), ['close 1 recycle', 'checkin'])
  t.strictSame(lease!.client.calls, ['close'])
  t.match(pool.status(), { size: 1, connecting: 1, idle: 0 })
  server.hanging[0]!.succeed()
  await settle()
  t.match(pool.status(), { size: 1, idle: 1 })
  await assertFullCapacity(pool, 2)
})

t.test('a replacement goes to whoever waits for a client when it arrives', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  await fillIdle(pool, 1)
  server.script('hang')
  await clock.advance(1001)
  const waiter = start(pool)
  t.equal(server.connects, 2, 'it is on its way already')
  server.hanging[0]!.succeed()
  await settle()
  t.equal(waiter.value.client.id, 2)
})

t.test('the failure of a replacement is nobody’s failure', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  await fillIdle(pool, 1)
  server.script('hang', 'ok')
  await clock.advance(1001)
  const waiter = start(pool)
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.equal(waiter.value.client.id, 2)
  t.match(pool.status(), { size: 1, generation: 0, counters: { connectFailures: 1 } })
})

t.test('a replacement dead on arrival is nobody’s try', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  await fillIdle(pool, 1)
  server.script('hang', 'dead', 'dead', 'ok')
  await clock.advance(1001)
  const waiter = start(pool)
  server.hanging[0]!.arriveDead(new Error('gone'))
  await settle()
  t.equal(waiter.value.client.id, 5)
})

t.test('a replacement that fails is not tried again until somebody wants a client', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  await fillIdle(pool, 1)
  server.script(loginRefused())
  await clock.advance(100_000)
  t.equal(server.connects, 2)
  t.match(pool.status(), { size: 0, connecting: 0 })
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await assertFullCapacity(pool, 1)
})

t.test(
  'P65: when the server is down after a recycle, nothing is lost but the old client',
  async t => {
    const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
    await fillIdle(pool, 1)
    server.script(loginRefused(), loginRefused())
    await clock.advance(1001)
    await t.rejects(pool.checkout(), { code: '28P01' })
    t.match(pool.status(), { size: 0, checkedOut: 0, overflow: 0, waiting: 0 })
    t.strictSame(server.closes, [1])
    await assertFullCapacity(pool, 1)
  }
)

t.test('with jitter clients born together do not end together', async t => {
  const draws = [0, 0.5, 0.75]
  const { pool, clock, server } = buildPool(t, {
    poolSize: 3,
    recycle: 10_000,
    recycleJitter: 0.2,
    random: () => draws.shift() ?? 0
  })
  await fillIdle(pool, 3)
  await clock.advance(8500)
  t.strictSame(server.closes, [0, 0, 0])
  await clock.advance(1)
  t.strictSame(server.closes, [0, 0, 1, 0])
  await clock.advance(500)
  t.strictSame(server.closes, [0, 1, 1, 0, 0])
  await clock.advance(1000)
  t.strictSame(server.closes, [1, 1, 1, 0, 0, 0])
  await assertFullCapacity(pool, 3)
})

t.test('pool_recycle -1 keeps clients for ever, and sets no timer', async t => {
  const { pool, clock, server } = buildPool(t, { recycle: -1, recycleJitter: 0.2 })
  await fillIdle(pool, 2)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await clock.advance(1e12)
  await assertFullCapacity(pool, 2)
  t.equal(server.connects, 2)
})

t.test('X23: with a pool_recycle of a millisecond one connect serves each checkout', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1 })
  for (let round = 1; round <= 5; round += 1) {
    const [lease] = await takeMany(pool, 1)
    t.equal(server.connects, round)
    await clock.advance(2)
    pool.checkin(lease!)
    await settle()
  }
  t.equal(server.connects, 6, 'and one more is ready')
})

t.test('a client that took longer to connect than it may live is lent once', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  server.script('hang')
  const checkout = start(pool)
  await clock.advance(5000)
  server.hanging[0]!.succeed()
  await settle()
  t.equal(checkout.value.client.id, 1)
  pool.checkin(checkout.value)
  t.equal(checkout.value.client.closes, 1)
  await settle()
  await assertFullCapacity(pool, 1)
})

t.test('a client too old is not replaced when there are enough without it', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, maxOverflow: 2, recycle: 1000 })
  const leases = await takeMany(pool, 3)
  await clock.advance(1001)
  pool.checkin(leases[0]!)
  t.match(pool.status(), { size: 2, connecting: 0 })
  pool.checkin(leases[1]!)
  pool.checkin(leases[2]!)
  await settle()
  t.match(pool.status(), { size: 1, idle: 1 })
  t.strictSame(server.closes, [1, 1, 1, 0])
  await assertFullCapacity(pool, 3)
})

t.test('waiters come before the background when an old client makes room', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  const [lease] = await takeMany(pool, 1)
  const waiter = start(pool)
  await clock.advance(1001)
  pool.checkin(lease!)
  await settle()
  t.equal(waiter.value.client.id, 2)
  t.equal(server.connects, 2)
})

t.test('the connect that follows a recycle is the waiter’s own, and so is its failure', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  const [lease] = await takeMany(pool, 1)
  const waiter = start(pool)
  await clock.advance(1001)
  server.script(loginRefused())
  pool.checkin(lease!)
  await settle()
  t.match(waiter.error, { code: '28P01' })
  await assertFullCapacity(pool, 1)
})

t.test('a closed pool replaces nothing', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  const [lease] = await takeMany(pool, 1)
  const closed = pool.close(10_000)
  await clock.advance(1001)
  pool.checkin(lease!)
  await closed
  t.equal(server.connects, 1)
})
