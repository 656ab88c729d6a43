import t from 'tap'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, takeMany } from '../fixtures/fake-pool.js'

t.test('P60: with pool_idle_timeout 0 an overflow client is closed when it comes back', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 2, maxOverflow: 2, idleTimeout: 0 })
  await fillIdle(pool, 4)
  t.strictSame(events.slice(4), [
    'checkin 1',
    'close 1 overflow',
    'checkin 2',
    'close 2 overflow',
    'checkin 3',
    'checkin 4'
  ])
  for (let round = 1; round < 5; round += 1) await fillIdle(pool, 4)
  t.equal(server.closes.filter(closes => closes === 1).length, 10)
  t.equal(server.open.length, 2)
  await assertFullCapacity(pool, 4)
})

t.test('with pool_idle_timeout 0 a client somebody waits for is not closed', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, maxOverflow: 1, idleTimeout: 0 })
  const leases = await takeMany(pool, 2)
  const waiter = start(pool)
  pool.checkin(leases[1]!)
  await settle()
  t.equal(waiter.value.client, leases[1]!.client)
  t.strictSame(server.closes, [0, 0])
})

t.test('an overflow client lingers for pool_idle_timeout, and is closed then', async t => {
  const { pool, clock, server, events } = buildPool(t, {
    poolSize: 1,
    maxOverflow: 2,
    idleTimeout: 10_000
  })
  await fillIdle(pool, 3)
  t.match(pool.status(), { size: 3, idle: 3, overflow: 2 })
  await clock.advance(9999)
  t.strictSame(server.closes, [0, 0, 0])
  await clock.advance(1)
  t.strictSame(server.closes, [1, 1, 0], 'the ones idle longest')
  t.strictSame(events.slice(-2), ['close 1 overflow', 'close 2 overflow'])
  t.match(pool.status(), { size: 1, idle: 1, overflow: 0 })
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await assertFullCapacity(pool, 3)
})

t.test('a lingering client is lent again without a connect', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, maxOverflow: 2, idleTimeout: 10_000 })
  for (let round = 0; round < 5; round += 1) {
    await fillIdle(pool, 3)
    await clock.advance(9000)
  }
  t.equal(server.connects, 3)
})

t.test(
  'each use prolongs the lingering of the client that was used, not of the others',
  async t => {
    const { pool, clock, server } = buildPool(t, {
      poolSize: 1,
      maxOverflow: 2,
      idleTimeout: 10_000
    })
    await fillIdle(pool, 3)
    for (let round = 0; round < 4; round += 1) {
      await clock.advance(5000)
      pool.checkin(await pool.checkout())
    }
    t.strictSame(server.closes, [1, 1, 0])
  }
)

t.test('an overflow client that is lent may stay as long as it is', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, maxOverflow: 1, idleTimeout: 1000 })
  const leases = await takeMany(pool, 2)
  await clock.advance(100_000)
  t.strictSame(server.closes, [0, 0])
  for (const lease of leases) pool.checkin(lease)
  await clock.advance(1000)
  t.match(pool.status(), { size: 1, idle: 1 })
})

t.test('pool_size clients are kept however long they idle', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 2, maxOverflow: 2, idleTimeout: 1000 })
  await fillIdle(pool, 2)
  await clock.advance(1e9)
  t.strictSame(server.closes, [0, 0])
  await assertFullCapacity(pool, 4)
})

t.test('the housekeeping never keeps a process alive', async t => {
  const { pool, clock } = buildPool(t, {
    poolSize: 1,
    maxOverflow: 2,
    idleTimeout: 1000,
    recycle: 500
  })
  await fillIdle(pool, 3)
  t.strictSame(clock.pending, { foreground: 0, background: 1 })
})
