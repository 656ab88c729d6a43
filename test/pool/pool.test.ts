import t from 'tap'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, takeMany } from '../fixtures/fake-pool.js'

t.test('P02 X47: a pool that nobody uses connects to nothing', async t => {
  const { clock, pool, server } = buildPool(t)
  t.equal(server.connects, 0)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await pool.close(1000)
  t.equal(server.connects, 0)
})

t.test('P06: a checkout connects when there is no client', async t => {
  const { pool, server } = buildPool(t)
  const lease = await pool.checkout()
  t.equal(lease.client, server.clients[0])
  t.match(pool.status(), { size: 1, idle: 0, checkedOut: 1, connecting: 0 })
})

t.test('a client that came back is lent again', async t => {
  const { pool, server } = buildPool(t)
  const [first] = await takeMany(pool, 1)
  pool.checkin(first!)
  const second = await pool.checkout()
  t.equal(second.client, first!.client)
  t.equal(server.connects, 1)
  t.strictSame(server.closes, [0])
})

t.test('P46: the numbers of the status add up at every step', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3, maxOverflow: -1, idleTimeout: 0 })
  const numbers = () => {
    const { size, idle, overflow, checkedOut } = pool.status()
    return [size, idle, overflow, checkedOut]
  }
  t.strictSame(numbers(), [0, 0, 0, 0])
  const leases = await takeMany(pool, 1)
  t.strictSame(numbers(), [1, 0, 0, 1])
  leases.push(...(await takeMany(pool, 2)))
  t.strictSame(numbers(), [3, 0, 0, 3])
  leases.push(...(await takeMany(pool, 3)))
  t.strictSame(numbers(), [6, 0, 3, 6])
  for (const lease of leases.splice(0, 3)) pool.checkin(lease)
  t.strictSame(numbers(), [3, 0, 0, 3])
  for (const lease of leases) pool.checkin(lease)
  t.strictSame(numbers(), [3, 3, 0, 0])
  pool.invalidate(undefined)
  t.strictSame(numbers(), [0, 0, 0, 0])
  const [lease] = await takeMany(pool, 2)
  t.strictSame(numbers(), [2, 0, 0, 2])
  pool.checkin(lease!)
  t.strictSame(numbers(), [2, 1, 0, 1])
  t.strictSame(server.closes, [1, 1, 1, 1, 1, 1, 0, 0])
})

t.test('the status is a copy', async t => {
  const { pool } = buildPool(t)
  const before = pool.status()
  await pool.checkout()
  t.equal(before.size, 0)
  t.equal(before.counters.checkouts, 0)
})

t.test('the counters count what happened', async t => {
  const { pool } = buildPool(t, { isPrePing: true })
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!)
  await pool.checkout()
  t.strictSame(pool.status().counters, {
    checkouts: 2,
    connects: 1,
    connectFailures: 0,
    pings: 1,
    pingFailures: 0,
    timeouts: 0
  })
})

t.test('P57: with max_overflow 0 there are never more than pool_size clients', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3 })
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      for (let round = 0; round < 10; round += 1) {
        const lease = await pool.checkout()
        await settle()
        pool.checkin(lease)
      }
    })
  )
  t.equal(server.peak, 3)
  t.match(pool.status(), { size: 3, idle: 3, waiting: 0 })
})

t.test('P58: there are never more than pool_size and max_overflow clients together', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3, maxOverflow: 5, idleTimeout: 0 })
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      for (let round = 0; round < 10; round += 1) {
        const lease = await pool.checkout()
        await settle()
        pool.checkin(lease)
      }
    })
  )
  t.equal(server.peak, 8)
  t.match(pool.status(), { size: 3, idle: 3, waiting: 0 })
})

t.test('P59: pool_size 0 means no limit, and all clients are kept', async t => {
  const { pool } = buildPool(t, { poolSize: 0, maxOverflow: 0, idleTimeout: 0 })
  await fillIdle(pool, 50)
  t.match(pool.status(), { size: 50, idle: 50, overflow: 0 })
})

t.test('max_overflow -1 means no limit, and pool_size clients are kept', async t => {
  const { pool } = buildPool(t, { poolSize: 2, maxOverflow: -1, idleTimeout: 0 })
  await fillIdle(pool, 50)
  t.match(pool.status(), { size: 2, idle: 2, overflow: 0 })
})

t.test('P77: with pool_use_lifo the client that came back last is lent first', async t => {
  const { pool } = buildPool(t, { poolSize: 3 })
  const leases = await takeMany(pool, 3)
  for (const index of [0, 2, 1]) pool.checkin(leases[index]!)
  for (let round = 0; round < 5; round += 1) {
    const lease = await pool.checkout()
    t.equal(lease.client.id, 2)
    pool.checkin(lease)
  }
})

t.test('P78: without pool_use_lifo the client idle longest is lent first', async t => {
  const { pool } = buildPool(t, { poolSize: 3, isLifo: false })
  await fillIdle(pool, 3)
  const order: number[] = []
  for (let round = 0; round < 6; round += 1) {
    const lease = await pool.checkout()
    order.push(lease.client.id)
    pool.checkin(lease)
  }
  t.strictSame(order, [1, 2, 3, 1, 2, 3])
})

t.test(
  'P76 X60: a second checkin does nothing, so that no two borrowers share a client',
  async t => {
    const { pool, events } = buildPool(t)
    const [lease] = await takeMany(pool, 1)
    pool.checkin(lease!)
    const again = await pool.checkout()
    pool.checkin(lease!)
    pool.checkin(lease!, 'error', new Error('late'))
    t.match(pool.status(), { size: 1, idle: 0, checkedOut: 1 })
    t.equal(again.client.closes, 0)
    t.strictSame(events, ['checkout 1', 'checkin 1', 'checkout 1'])
    pool.checkin(again)
    await assertFullCapacity(pool, 2)
  }
)

t.test('a client is taken without waiting and unverified, or not at all', async t => {
  const { pool, server } = buildPool(t, { isPrePing: true })
  t.equal(pool.tryCheckout(), undefined)
  t.equal(server.connects, 0, 'nothing is opened for it')
  const [client] = await fillIdle(pool, 1)
  const lease = pool.tryCheckout()
  t.equal(lease?.client, client)
  t.strictSame(client!.calls, ['reset'])
  t.equal(pool.tryCheckout(), undefined)
  pool.checkin(lease!)
  await assertFullCapacity(pool, 2)
})

t.test(
  'a client that was taken and not used is put back as it was, and nobody is told',
  async t => {
    const { pool, events } = buildPool(t, { poolSize: 1 })
    const [client] = await fillIdle(pool, 1)
    const before = [...events]
    pool.putBack(pool.tryCheckout()!)
    t.match(pool.status(), { size: 1, idle: 1, checkedOut: 0 })
    t.strictSame(events, before)
    t.strictSame(client!.calls, ['reset'])
    const lease = pool.tryCheckout()
    const waiter = start(pool)
    pool.putBack(lease!)
    await settle()
    t.equal(waiter.value.client, client, 'who waited meanwhile comes first')
  }
)

t.test('a client that is unfit when it is put back is closed', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 1 })
  await fillIdle(pool, 1)
  const lease = pool.tryCheckout()
  pool.invalidate(undefined)
  pool.putBack(lease!)
  t.strictSame(server.closes, [1])
  t.equal(events.at(-1), 'close 1 generation')
  await assertFullCapacity(pool, 1)
})

t.test('a closed pool lends nothing without waiting either', async t => {
  const { pool } = buildPool(t)
  await fillIdle(pool, 1)
  await pool.close(0)
  t.equal(pool.tryCheckout(), undefined)
})

t.test('P70: what goes wrong on every client at once ends every client once', async t => {
  const { pool, server } = buildPool(t, { poolSize: 15 })
  const leases = await takeMany(pool, 15)
  for (const client of server.clients) client.isCloseSlow = true
  const waiting = start(pool)
  for (const lease of leases) {
    pool.invalidate(new Error('gone'), lease.generation)
    pool.checkin(lease, 'error', new Error('gone'))
  }
  await settle()
  t.strictSame(server.closes.slice(0, 15), Array(15).fill(1))
  t.equal(pool.generation, 1)
  pool.checkin(waiting.value)
  await assertFullCapacity(pool, 15)
  t.equal(server.connects, 30)
})
