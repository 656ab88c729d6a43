import t from 'tap'
import { PoolTimeoutError } from '../../src/errors.js'
import { idleSessionTimeout, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  start,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

t.test('P54: a client lost while it answers a ping is not lent', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'hang'
  const checkout = start(pool)
  client!.answer()
  client!.lose(socketReset())
  await settle()
  t.equal(checkout.value.client, server.clients[1])
  t.strictSame(server.closes, [1, 0])
})

t.test('P54: a client lost while it answers a ping is a try', async t => {
  const { pool, server } = buildPool(t, { isPrePing: true })
  const clients = await fillIdle(pool, 2)
  for (const client of clients) client.pingReply = 'hang'
  server.script('hang')
  const checkout = start(pool)
  for (const client of clients.reverse()) {
    client.answer()
    client.lose(idleSessionTimeout())
    await settle()
  }
  const last = idleSessionTimeout()
  server.hanging[0]!.arriveDead(last)
  await settle()
  t.equal(checkout.error, last)
  t.match(pool.status(), { size: 0, checkedOut: 0, counters: { pings: 2 } })
  await assertFullCapacity(pool, 2)
})

t.test(
  'a client invalidated while it answers a ping is not lent, and counts for no try',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
    const [client] = await fillIdle(pool, 1)
    client!.pingReply = 'hang'
    const checkout = start(pool)
    pool.invalidate(undefined)
    server.script('dead', 'dead', 'ok')
    client!.answer()
    await settle()
    t.equal(checkout.value.client.id, 4)
    t.equal(pool.generation, 1)
  }
)

t.test('a client that grows too old while it is pinged is not lent', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, isPrePing: true, recycle: 1000 })
  const [client] = await fillIdle(pool, 1)
  await clock.advance(900)
  client!.pingReply = 'hang'
  const checkout = start(pool)
  await clock.advance(200)
  client!.answer()
  await settle()
  t.equal(checkout.value.client, server.clients[1])
})

t.test('X06: pings and connects together do not keep a checkout beyond its deadline', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, isPrePing: true, timeout: 1500 })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'silent'
  server.reply = 'hang'
  const checkout = start(pool)
  await clock.advance(1000)
  t.match(pool.status(), { connecting: 1, waiting: 1 })
  await clock.advance(499)
  t.equal(checkout.state, 'pending')
  await clock.advance(1)
  t.type(checkout.error, PoolTimeoutError)
  server.hanging[0]!.succeed()
  await settle()
  await assertFullCapacity(pool, 1)
})

t.test('who is pinged for waits in nobody’s way: others are served meanwhile', async t => {
  const { pool } = buildPool(t, { poolSize: 3, isPrePing: true })
  const clients = await fillIdle(pool, 2)
  clients[1]!.pingReply = 'hang'
  const [pinging, second, third] = startMany(pool, 3)
  await settle()
  t.equal(pinging!.state, 'pending')
  t.equal(second!.value.client, clients[0])
  t.equal(third!.value.client.id, 3)
  t.match(pool.status(), { checkedOut: 3, waiting: 0 })
})

t.test('who comes back from a failed ping goes before those who came later', async t => {
  const { pool } = buildPool(t, { poolSize: 2, isPrePing: true })
  const [client] = await fillIdle(pool, 2)
  const [lent] = await takeMany(pool, 1)
  client!.pingReply = 'hang'
  const [first, second] = startMany(pool, 2)
  client!.lose(idleSessionTimeout())
  await settle()
  t.equal(first!.value.client.id, 3)
  t.equal(second!.state, 'pending')
  pool.checkin(lent!)
  await settle()
  t.equal(second!.state, 'resolved')
})
