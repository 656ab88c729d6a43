import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { OverloadedError, PoolTimeoutError } from '../../src/errors.js'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  start,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

t.test('X17: waiters are served in the order in which they came', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const waiters = startMany(pool, 3)
  let returned = lease!
  for (const waiter of waiters) {
    pool.checkin(returned)
    await settle()
    t.equal(waiter.state, 'resolved')
    t.equal(waiters.filter(({ state }) => state === 'resolved').length, waiters.indexOf(waiter) + 1)
    returned = waiter.value
  }
})

t.test('X17: who returns a client and wants one again queues up behind those who wait', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const patient = start(pool)
  pool.checkin(lease!)
  const greedy = start(pool)
  await settle()
  t.equal(patient.state, 'resolved')
  t.equal(greedy.state, 'pending')
})

t.test('a thousand waiters are all served, in order', async t => {
  const { pool, server } = buildPool(t)
  const leases = await takeMany(pool, 2)
  const served: number[] = []
  const waiting = Array.from({ length: 1000 }, async (_, index) => {
    const lease = await pool.checkout()
    served.push(index)
    pool.checkin(lease)
  })
  t.equal(pool.status().waiting, 1000)
  for (const lease of leases) pool.checkin(lease)
  await Promise.all(waiting)
  t.strictSame(
    served,
    Array.from({ length: 1000 }, (_, index) => index)
  )
  t.equal(server.connects, 2)
})

t.test('P48 A10: who waits longer than pool_timeout is loginRefused, and no sooner', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 3, timeout: 2000 })
  const leases = await takeMany(pool, 3)
  const waiter = start(pool)
  t.match(pool.status(), { waiting: 1, counters: { timeouts: 0 } })
  await clock.advance(1999)
  t.equal(waiter.state, 'pending')
  await clock.advance(1)
  t.type(waiter.error, PoolTimeoutError)
  t.match(waiter.error, { code: 'FST_DB_POOL_TIMEOUT', statusCode: 503 })
  t.match(pool.status(), { waiting: 0, checkedOut: 3, counters: { timeouts: 1, checkouts: 3 } })
  for (const lease of leases) pool.checkin(lease)
  await assertFullCapacity(pool, 3)
})

t.test('P49: a pool_timeout of half a second is half a second', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1, timeout: 500 })
  await takeMany(pool, 1)
  const waiter = start(pool)
  await clock.advance(499)
  t.equal(waiter.state, 'pending')
  await clock.advance(1)
  t.equal(waiter.state, 'rejected')
})

t.test('P50: of ten that come at once nobody is refused before the deadline', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 2, maxOverflow: 1, timeout: 3000 })
  const checkouts = startMany(pool, 10)
  await clock.advance(2999)
  t.equal(checkouts.filter(({ state }) => state === 'resolved').length, 3)
  t.equal(checkouts.filter(({ state }) => state === 'pending').length, 7)
  await clock.advance(1)
  t.equal(checkouts.filter(({ state }) => state === 'rejected').length, 7)
  t.equal(pool.status().counters.timeouts, 7)
})

t.test("a request's own deadline counts if it is sooner than pool_timeout", async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1, timeout: 2000 })
  await takeMany(pool, 1)
  const hurried = start(pool, { deadline: clock.now() + 100 })
  const patient = start(pool, { deadline: clock.now() + 100_000 })
  await clock.advance(100)
  t.type(hurried.error, PoolTimeoutError)
  await clock.advance(1899)
  t.equal(patient.state, 'pending')
  await clock.advance(1)
  t.type(patient.error, PoolTimeoutError)
})

t.test('a client that comes back at the deadline goes to who waits still', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1, timeout: 1000 })
  const [lease] = await takeMany(pool, 1)
  const late = start(pool)
  await clock.advance(500)
  const inTime = start(pool)
  await clock.advance(500)
  pool.checkin(lease!)
  await settle()
  t.type(late.error, PoolTimeoutError)
  t.equal(inTime.value.client, lease!.client)
  pool.checkin(inTime.value)
  await assertFullCapacity(pool, 1)
})

t.test(
  'A11: with pool_timeout 0 a checkout is refused at once when all clients are in use',
  async t => {
    const { pool, clock } = buildPool(t, { poolSize: 1, timeout: 0 })
    const [lease] = await takeMany(pool, 1)
    await t.rejects(pool.checkout(), { code: 'FST_DB_POOL_TIMEOUT' })
    t.match(pool.status(), { waiting: 0, counters: { timeouts: 1 } })
    t.strictSame(clock.pending, { foreground: 0, background: 0 })
    pool.checkin(lease!)
    const [again] = await takeMany(pool, 1)
    t.equal(again!.client, lease!.client)
  }
)

t.test('A11: with pool_timeout 0 a checkout may take the time to connect', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, timeout: 0 })
  server.script('hang')
  const checkout = start(pool)
  await clock.advance(100_000)
  t.equal(checkout.state, 'pending')
  server.hanging[0]!.succeed()
  await settle()
  t.equal(checkout.state, 'resolved')
})

t.test(
  'with pool_timeout 0 a checkout may take the time to ping, and to connect after it',
  async t => {
    const { pool, clock, server } = buildPool(t, { poolSize: 1, timeout: 0, isPrePing: true })
    const [client] = await fillIdle(pool, 1)
    client!.pingReply = 'silent'
    const checkout = start(pool)
    await clock.advance(1000)
    t.equal(checkout.value.client, server.clients[1])
  }
)

t.test('with pool_max_waiting waiters the next one is refused at once', async t => {
  const { pool } = buildPool(t, { poolSize: 1, maxWaiting: 2 })
  const [lease] = await takeMany(pool, 1)
  const waiters = startMany(pool, 2)
  const refused = start(pool)
  await settle()
  t.type(refused.error, OverloadedError)
  t.match(refused.error, { code: 'FST_DB_OVERLOADED', statusCode: 503 })
  t.match(pool.status(), { waiting: 2, counters: { timeouts: 0 } })
  pool.checkin(lease!)
  const last = start(pool)
  await settle()
  t.strictSame(
    [...waiters, last].map(({ state }) => state),
    ['resolved', 'pending', 'pending'],
    'who was served makes room for one more'
  )
})

t.test('with pool_max_waiting 0 nobody waits for a client in use', async t => {
  const { pool, server } = buildPool(t, { poolSize: 2, maxWaiting: 0 })
  server.script('hang', 'hang')
  const checkouts = startMany(pool, 2)
  const refused = start(pool)
  await settle()
  t.type(refused.error, OverloadedError)
  for (const connect of server.hanging) connect.succeed()
  await settle()
  for (const checkout of checkouts) pool.checkin(checkout.value)
  t.equal((await takeMany(pool, 2)).length, 2)
})

t.test(
  'those who wait for a connect of their own do not count against pool_max_waiting',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 3, maxWaiting: 1 })
    server.reply = 'hang'
    const connecting = startMany(pool, 3)
    const waiting = start(pool)
    const refused = start(pool)
    await settle()
    t.strictSame(
      [...connecting, waiting].map(({ state }) => state),
      Array(4).fill('pending')
    )
    t.type(refused.error, OverloadedError)
  }
)

t.test('nothing is kept of those who were refused, gave up or ran out of time', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1, maxWaiting: 10, timeout: 100 })
  const [lease] = await takeMany(pool, 1)
  const before = clock.pending
  const controller = new AbortController()
  const { signal } = controller
  const timesOver = async (times: number) => {
    for (let round = 0; round < times; round += 1) {
      const outcomes = new Set<string>()
      const many = Array.from({ length: 100 }, (_, index) => {
        const own = new AbortController()
        const checkout = pool.checkout({ signal: index % 2 === 0 ? signal : own.signal })
        if (index === 1) own.abort()
        return checkout.catch((error: Error) => outcomes.add(error.name))
      })
      if (pool.status().waiting !== 10) t.fail(`${pool.status().waiting} wait`)
      await clock.advance(100)
      await Promise.all(many)
      if (outcomes.size !== 3) t.fail(`${[...outcomes]}`)
    }
  }
  await timesOver(20)
  const heap = heapUsed()
  await timesOver(200)
  const grown = heapUsed() - heap
  // Less than the smallest object for each.
  t.ok(grown < 200 * 100 * 60, `${grown} bytes for 20,000 checkouts`)
  t.equal(getEventListeners(signal, 'abort').length, 0)
  t.strictSame(clock.pending, before)
  t.match(pool.status(), { waiting: 0, checkedOut: 1, size: 1 })
  pool.checkin(lease!)
})

/** After a collection. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
