import t from 'tap'
import { adminShutdown, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, takeMany } from '../fixtures/fake-pool.js'

t.test('X01 X36: an idle client that is lost is out of the pool at once', async t => {
  const { pool, server, events, errors } = buildPool(t, { poolSize: 3 })
  const [client] = await fillIdle(pool, 3)
  const error = adminShutdown()
  client!.lose(error)
  t.match(pool.status(), { size: 2, idle: 2, checkedOut: 0, generation: 0 })
  t.strictSame(server.closes, [1, 0, 0])
  t.equal(events.at(-1), 'close 1 error')
  t.equal(errors.get(1), error)
  await assertFullCapacity(pool, 3)
  t.strictSame(server.open, [2, 3, 4])
})

t.test('R09 X37: two idle losses within a second raise the generation, once', async t => {
  const { pool, clock, server, events } = buildPool(t, { poolSize: 5 })
  const clients = await fillIdle(pool, 5)
  clients[0]!.lose(adminShutdown())
  await clock.advance(1000)
  t.equal(pool.generation, 0)
  clients[1]!.lose(adminShutdown())
  t.equal(pool.generation, 1)
  for (const client of clients) client.lose(socketReset())
  t.equal(pool.generation, 1)
  t.strictSame(server.closes, [1, 1, 1, 1, 1])
  t.strictSame(events.slice(-6), [
    'close 1 error',
    'close 2 error',
    'close 3 generation',
    'close 4 generation',
    'close 5 generation',
    'generation 1'
  ])
  t.match(pool.status(), { size: 0, idle: 0 })
  await assertFullCapacity(pool, 5)
})

t.test('two idle losses more than a second apart are two incidents', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3 })
  const clients = await fillIdle(pool, 3)
  clients[0]!.lose(adminShutdown())
  await clock.advance(1001)
  clients[1]!.lose(adminShutdown())
  t.equal(pool.generation, 0)
  t.strictSame(server.closes, [1, 1, 0])
  await assertFullCapacity(pool, 3)
})

t.test('two idle losses of different generations are two incidents', async t => {
  const { pool } = buildPool(t, { poolSize: 3 })
  const [old] = await fillIdle(pool, 3)
  old!.lose(adminShutdown())
  pool.invalidate(undefined)
  const [young] = await fillIdle(pool, 3)
  young!.lose(adminShutdown())
  t.equal(pool.generation, 1)
  await assertFullCapacity(pool, 3)
})

t.test('a client lost while it is lent is no idle loss', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 3 })
  const [idle, lent] = await takeMany(pool, 2)
  pool.checkin(idle!)
  lent!.client.lose(socketReset())
  t.match(pool.status(), { size: 2, checkedOut: 1 })
  t.strictSame(server.closes, [0, 0])
  idle!.client.lose(socketReset())
  t.equal(pool.generation, 0)
  pool.checkin(lent!)
  t.strictSame(events.slice(-2), ['close 2 error', 'checkin'])
  t.strictSame(server.closes, [1, 1])
  await assertFullCapacity(pool, 3)
})

t.test(
  'clients in use when their generation is raised are replaced when they come back',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 3 })
    const [a, b, lent] = await takeMany(pool, 3)
    for (const lease of [a!, b!]) pool.checkin(lease)
    a!.client.lose(adminShutdown())
    b!.client.lose(adminShutdown())
    t.equal(pool.generation, 1)
    t.equal(lent!.client.closes, 0)
    pool.checkin(lent!)
    t.strictSame(server.closes, [1, 1, 1])
    await assertFullCapacity(pool, 3)
  }
)

t.test('after a client went lost the next borrower gets another one', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const [client] = await fillIdle(pool, 1)
  client!.lose(adminShutdown())
  const checkout = start(pool)
  await settle()
  t.equal(checkout.value.client.id, 2)
})
