import t from 'tap'
import { loginRefused, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { buildPool, start, startMany, takeMany } from '../fixtures/fake-pool.js'

const NULL_POOL = { isNullPool: true, isPrePing: true, recycleJitter: 1, idleTimeout: 10_000 }

t.test('P16 P89 R46: a NullPool connects for each checkout and closes at each checkin', async t => {
  const { pool, server } = buildPool(t, { ...NULL_POOL, random: () => 0.999 })
  for (let round = 1; round <= 3; round += 1) {
    const lease = await pool.checkout()
    t.equal(lease.client.id, round)
    t.match(pool.status(), { size: 1, idle: 0, checkedOut: 1 })
    pool.checkin(lease)
    t.match(pool.status(), { size: 0, idle: 0, checkedOut: 0 })
  }
  t.strictSame(server.closes, [1, 1, 1])
  t.equal(server.connects, 3)
})

t.test('a NullPool has no limit, whatever pool_size says', async t => {
  const { pool } = buildPool(t, { ...NULL_POOL, poolSize: 1, maxOverflow: 0, maxWaiting: 0 })
  const leases = await takeMany(pool, 50)
  t.match(pool.status(), { size: 50, checkedOut: 50, waiting: 0 })
  for (const lease of leases) pool.checkin(lease)
  t.equal(pool.status().size, 0)
})

t.test('a NullPool pings nobody: every client is fresh', async t => {
  const { pool, server } = buildPool(t, NULL_POOL)
  for (const lease of await takeMany(pool, 3)) pool.checkin(lease)
  t.strictSame(
    server.clients.map(client => client.calls),
    [['close'], ['close'], ['close']]
  )
})

t.test('a NullPool opens nothing in the background and sets no timer', async t => {
  const { pool, clock, server } = buildPool(t, NULL_POOL)
  pool.checkin(await pool.checkout())
  await clock.advance(1_000_000)
  t.equal(server.connects, 1)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
})

t.test('a NullPool closes a client whose borrower left before it arrived', async t => {
  const { pool, server } = buildPool(t, NULL_POOL)
  server.script('hang')
  const caller = new AbortController()
  start(pool, { signal: caller.signal })
  caller.abort()
  server.hanging[0]!.succeed()
  await settle()
  t.strictSame(server.closes, [1])
  t.equal(pool.status().size, 0)
})

t.test('P89: a NullPool survives failed connects, invalidations and dead clients', async t => {
  const { pool, server } = buildPool(t, NULL_POOL)
  const [lease] = await takeMany(pool, 1)
  pool.invalidate(socketReset())
  pool.checkin(lease!, 'error', socketReset())
  server.script(loginRefused(), 'dead', 'ok')
  const [failed, served] = startMany(pool, 2)
  await settle()
  t.match(failed!.error, { code: '28P01' })
  t.equal(served!.value.client.id, 3)
  t.match(pool.status(), { size: 1, checkedOut: 1, generation: 1 })
})
