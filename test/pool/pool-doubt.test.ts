import t from 'tap'
import { PoolTimeoutError } from '../../src/errors.js'
import { PingTimeoutError } from '../../src/session-errors.js'
import { adminShutdown, loginRefused, refused, tooManyClients } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, startMany } from '../fixtures/fake-pool.js'

t.test(
  'X06: a ping that runs into its timeout costs its client, and a new one is lent',
  async t => {
    const { pool, clock, server, events, errors } = buildPool(t, { isPrePing: true })
    const [other, frozen] = await fillIdle(pool, 2)
    frozen!.pingReply = 'silent'
    const checkout = start(pool)
    await clock.advance(999)
    t.equal(checkout.state, 'pending')
    t.match(pool.status(), { idle: 1, checkedOut: 1, counters: { pings: 1, pingFailures: 0 } })
    await clock.advance(1)
    t.equal(checkout.value.client, server.clients[2])
    t.strictSame(events.slice(-2), ['close 2 ping', 'checkout 3'])
    t.type(errors.get(2), PingTimeoutError)
    t.match(pool.status(), { generation: 0, idle: 1, checkedOut: 1, counters: { pingFailures: 1 } })
    t.strictSame(other!.calls, ['reset'])
    pool.checkin(checkout.value)
    await assertFullCapacity(pool, 2)
  }
)

t.test('X06: after a ping that timed out nobody is sent to the next silent client', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 5, isPrePing: true })
  const clients = await fillIdle(pool, 5)
  for (const client of clients) client.pingReply = 'silent'
  const checkout = start(pool)
  await clock.advance(1000)
  t.equal(checkout.value.client, server.clients[5])
  t.equal(pool.status().counters.pings, 1)
  t.equal(pool.generation, 0, 'a server that answers a connect is not gone')
})

t.test('a connect that fails after a ping that timed out raises the generation', async t => {
  const { pool, clock, server, events } = buildPool(t, { poolSize: 3, isPrePing: true })
  const clients = await fillIdle(pool, 3)
  for (const client of clients) client.pingReply = 'silent'
  server.script(loginRefused())
  const checkout = start(pool)
  await clock.advance(1000)
  t.match(checkout.error, { code: '28P01' })
  t.equal(pool.generation, 1)
  t.strictSame(server.closes, [1, 1, 1])
  t.strictSame(events.slice(-4), [
    'close 3 ping',
    'close 1 generation',
    'close 2 generation',
    'generation 1'
  ])
  await assertFullCapacity(pool, 3)
})

t.test('a connect that fails raises no generation when no ping has timed out', async t => {
  const { pool, server } = buildPool(t)
  server.script(loginRefused())
  await t.rejects(pool.checkout(), { code: '28P01' })
  t.equal(pool.generation, 0)
})

t.test('two who doubt the same generation raise it once', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, isPrePing: true })
  const clients = await fillIdle(pool, 3)
  for (const client of clients) client.pingReply = 'silent'
  server.script(refused())
  const checkouts = startMany(pool, 2)
  await clock.advance(1000)
  for (const checkout of checkouts) t.equal(checkout.state, 'pending', 'the gate is closed')
  t.equal(pool.generation, 1)
  t.strictSame(server.closes, [1, 1, 1])
  await clock.advance(25)
  for (const checkout of checkouts) pool.checkin(checkout.value)
  t.equal(pool.generation, 1)
  await assertFullCapacity(pool, 3)
})

t.test('a connect that finds the server full settles no doubt', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 2, isPrePing: true })
  const clients = await fillIdle(pool, 2)
  clients[1]!.pingReply = 'silent'
  server.script(tooManyClients())
  const doubting = start(pool)
  await clock.advance(1000)
  t.match(pool.status(), { state: 'up', generation: 0, idle: 1 })
  await clock.advance(25)
  pool.checkin(doubting.value)
  t.equal(pool.generation, 0)
})

t.test('X39: a doubt about an old generation does not hurt the new one', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, isPrePing: true })
  const clients = await fillIdle(pool, 3)
  for (const client of clients) client.pingReply = 'silent'
  server.script('hang')
  const doubting = start(pool)
  await clock.advance(1000)
  pool.invalidate(undefined)
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.match(doubting.error, { code: '28P01' })
  t.equal(pool.generation, 1)
  await assertFullCapacity(pool, 3)
})

t.test('who doubts and is served by a client that comes back has no quarrel with it', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 2, isPrePing: true, window: 500 })
  const [silent] = await fillIdle(pool, 1)
  await clock.advance(500)
  silent!.pingReply = 'silent'
  server.script('ok', 'hang')
  const doubting = start(pool)
  const other = start(pool)
  await clock.advance(1000)
  other.value.client.heardAt = clock.now()
  pool.checkin(other.value)
  await settle()
  t.equal(doubting.value.client, other.value.client)
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.equal(pool.generation, 0)
  pool.checkin(doubting.value)
  await assertFullCapacity(pool, 2)
})

t.test('a client dead on arrival is a try of who doubts, and settles nothing', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, isPrePing: true })
  const [first] = await fillIdle(pool, 2)
  for (const client of server.clients) client.pingReply = 'silent'
  server.script('dead', 'ok')
  const checkout = start(pool)
  await clock.advance(1000)
  t.equal(checkout.value.client.id, 4)
  t.equal(first!.closes, 0)
  t.equal(pool.generation, 0)
})

t.test('a ping that timed out is one of three tries', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'silent'
  server.script('dead', 'hang')
  const checkout = start(pool)
  await clock.advance(1000)
  const error = adminShutdown()
  server.hanging[0]!.arriveDead(error)
  await settle()
  t.equal(checkout.error, error)
  t.equal(server.connects, 3)
  await assertFullCapacity(pool, 1)
})

t.test('newcomers take idle clients while one who doubts waits for a connect', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 2, isPrePing: true })
  const [well, silent] = await fillIdle(pool, 2)
  silent!.pingReply = 'silent'
  server.script('hang')
  const doubting = start(pool)
  await clock.advance(1000)
  const newcomer = start(pool)
  await settle()
  t.equal(newcomer.value.client, well)
  t.equal(doubting.state, 'pending')
  server.hanging[0]!.succeed()
  await settle()
  t.equal(doubting.value.client, server.clients[2])
})

t.test('X06: silent clients and a connect that hangs keep nobody beyond the deadline', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, isPrePing: true, timeout: 2500 })
  const clients = await fillIdle(pool, 3)
  for (const client of clients) client.pingReply = 'silent'
  server.reply = 'hang'
  const checkouts = startMany(pool, 6)
  await clock.advance(2500)
  for (const checkout of checkouts) t.type(checkout.error, PoolTimeoutError)
  t.match(pool.status(), { waiting: 0, checkedOut: 0, counters: { timeouts: 6 } })
  for (const connect of server.hanging) connect.succeed()
  await settle()
  server.reply = 'ok'
  await assertFullCapacity(pool, 3)
})
