import t from 'tap'
import { PoolTimeoutError } from '../../src/errors.js'
import { adminShutdown, loginRefused } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  start,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

t.test('R05 E24: a connect that fails fails the checkout with its own error', async t => {
  const { pool, server, events } = buildPool(t)
  const error = loginRefused()
  server.script(error)
  const checkout = start(pool)
  await settle()
  t.equal(checkout.error, error)
  t.match(pool.status(), {
    size: 0,
    checkedOut: 0,
    connecting: 0,
    waiting: 0,
    generation: 0,
    counters: { connects: 1, connectFailures: 1, checkouts: 0 }
  })
  t.strictSame(events, [], 'there was no client to speak of')
  await assertFullCapacity(pool, 2)
})

t.test('P51: an overflow connect that fails leaves the overflow as it was', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3, maxOverflow: 1 })
  const leases = await takeMany(pool, 3)
  const before = pool.status()
  for (let count = 0; count < 100; count += 1) {
    server.script(loginRefused())
    await t.rejects(pool.checkout(), { code: '28P01' })
  }
  const counters = { ...before.counters, connects: 103, connectFailures: 100 }
  t.strictSame(pool.status(), { ...before, counters })
  for (const lease of leases) pool.checkin(lease)
  await assertFullCapacity(pool, 4)
})

t.test('a hundred checkouts whose connects are refused for good cost no slot', async t => {
  const { pool, server } = buildPool(t)
  server.reply = loginRefused()
  for (let count = 0; count < 100; count += 1) {
    await t.rejects(pool.checkout(), { code: '28P01' })
  }
  t.match(pool.status(), { size: 0, checkedOut: 0, waiting: 0, generation: 0 })
  server.reply = 'ok'
  await assertFullCapacity(pool, 2)
})

t.test('P53 P55 X16: a failed connect wakes the next waiter at once', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('hang', 'ok')
  const [first, second] = startMany(pool, 2)
  t.match(pool.status(), { connecting: 1, waiting: 2 })
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.match(first!.error, { code: '28P01' })
  t.equal(second!.value.client.id, 1)
  pool.checkin(second!.value)
  await assertFullCapacity(pool, 1)
})

t.test('each failed connect is the failure of one waiter, the first', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [a, b, c] = [loginRefused(), loginRefused(), loginRefused()]
  server.script(a, b, c)
  const checkouts = startMany(pool, 4)
  await settle()
  t.strictSame(
    checkouts.slice(0, 3).map(({ error }) => error),
    [a, b, c]
  )
  t.equal(checkouts[3]!.state, 'resolved')
})

t.test('P52: a connect that hangs does not keep others from connecting', async t => {
  const { pool, server } = buildPool(t, { poolSize: 2, maxOverflow: 1 })
  server.script('hang')
  const [first, second] = startMany(pool, 2)
  await settle()
  t.equal(first!.value.client.id, 1, 'who came first gets the client that came first')
  t.equal(second!.state, 'pending')
  server.hanging[0]!.succeed()
  await settle()
  t.equal(second!.value.client.id, 2)
})

t.test('a waiter is tied to no connect: a client that comes back serves it sooner', async t => {
  const { pool, server } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  server.script('hang')
  const waiter = start(pool)
  pool.checkin(lease!)
  await settle()
  t.equal(waiter.value.client, lease!.client)
  server.hanging[0]!.succeed()
  await settle()
  t.match(pool.status(), { size: 2, idle: 1, checkedOut: 1 })
  pool.checkin(waiter.value)
  await assertFullCapacity(pool, 2)
})

t.test('a connect whose waiter was served sooner may fail without harm to anybody', async t => {
  const { pool, server } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  server.script('hang')
  const waiter = start(pool)
  pool.checkin(lease!)
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.equal(waiter.state, 'resolved')
  t.match(pool.status(), { size: 1, connecting: 0, counters: { connectFailures: 1 } })
  pool.checkin(waiter.value)
  await assertFullCapacity(pool, 2)
})

t.test('as many connects are begun as there are waiters and room, and no more', async t => {
  const { pool, server } = buildPool(t, { poolSize: 2, maxOverflow: 1 })
  server.reply = 'hang'
  startMany(pool, 2)
  t.equal(server.connects, 2)
  startMany(pool, 5)
  t.equal(server.connects, 3)
  t.match(pool.status(), { connecting: 3, waiting: 7, size: 3, overflow: 1, checkedOut: 0 })
})

t.test('X08: a connect that hangs does not keep a checkout beyond its deadline', async t => {
  const { pool, clock, server } = buildPool(t, { timeout: 2000 })
  server.script('hang')
  const checkout = start(pool)
  await clock.advance(1999)
  t.equal(checkout.state, 'pending')
  await clock.advance(1)
  t.type(checkout.error, PoolTimeoutError)
  server.hanging[0]!.succeed()
  await settle()
  t.match(pool.status(), { idle: 1, waiting: 0, checkedOut: 0 })
  await assertFullCapacity(pool, 2)
})

t.test(
  'X05: a client that is dead on arrival is closed and not lent, but another one is',
  async t => {
    const { pool, server, events, errors } = buildPool(t)
    server.script('dead')
    const lease = await pool.checkout()
    t.equal(lease.client.id, 2)
    t.strictSame(events, ['close 1 error', 'checkout 2'])
    t.match(errors.get(1), { code: '57P01' })
    t.match(pool.status(), { size: 1, generation: 0 })
    pool.checkin(lease)
    await assertFullCapacity(pool, 2)
  }
)

t.test(
  'X05: after three clients dead on arrival the checkout fails with what the last one died of',
  async t => {
    const { pool, server } = buildPool(t)
    server.script('hang')
    const checkout = start(pool)
    server.hanging[0]!.arriveDead(adminShutdown())
    server.script('dead', 'hang')
    await settle()
    const last = adminShutdown()
    server.hanging[1]!.arriveDead(last)
    await settle()
    t.equal(checkout.error, last)
    t.equal(server.connects, 3)
    t.match(pool.status(), { size: 0, checkedOut: 0, waiting: 0, counters: { checkouts: 0 } })
    t.strictSame(server.closes, [1, 1, 1])
    await assertFullCapacity(pool, 2)
  }
)

t.test('X05: one who gives up after three dead clients leaves room for the next', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('dead', 'dead', 'dead', 'ok')
  const [first, second] = startMany(pool, 2)
  await settle()
  t.match(first!.error, { code: '57P01' })
  t.equal(second!.value.client.id, 4)
})

t.test('X05: who got a dead client keeps its place in the queue', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('dead')
  const [first, second] = startMany(pool, 2)
  await settle()
  t.equal(first!.state, 'resolved')
  t.equal(second!.state, 'pending')
})

t.test('P54: a client lost between two checkouts is not lent', async t => {
  const { pool, server } = buildPool(t)
  const [client] = await fillIdle(pool, 1)
  client!.lose(adminShutdown())
  const lease = await pool.checkout()
  t.equal(lease.client, server.clients[1])
  t.strictSame(server.closes, [1, 0])
})
