import t from 'tap'
import type { Verdict } from '../../src/disconnect.js'
import {
  idleSessionTimeout,
  loginRefused,
  socketReset,
  syntaxError
} from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start } from '../fixtures/fake-pool.js'

t.test(
  'R01: the first borrower of a client gets it without a ping, every later one with one',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
    for (let round = 0; round < 3; round += 1) pool.checkin(await pool.checkout())
    t.strictSame(server.clients[0]!.calls, ['reset', 'ping', 'reset', 'ping', 'reset'])
    t.match(pool.status().counters, { pings: 2, pingFailures: 0, checkouts: 3 })
  }
)

t.test('R06: without pool_pre_ping nobody is pinged', async t => {
  const { pool, clock, server } = buildPool(t, { isPrePing: false })
  await fillIdle(pool, 1)
  await clock.advance(1_000_000)
  await pool.checkout()
  t.strictSame(server.clients[0]!.calls, ['reset'])
})

t.test('a client heard from within pool_pre_ping_window is lent without a ping', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1, isPrePing: true, window: 500 })
  const [client] = await fillIdle(pool, 1)
  await clock.advance(499)
  pool.checkin(await pool.checkout())
  t.strictSame(client!.calls, ['reset', 'reset'])
  await clock.advance(1)
  pool.checkin(await pool.checkout())
  t.strictSame(client!.calls, ['reset', 'reset', 'ping', 'reset'])
})

t.test('R02: after an invalidation the new client is lent without a ping', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  await fillIdle(pool, 1)
  const lease = await pool.checkout()
  pool.checkin(lease, 'user')
  const next = await pool.checkout()
  t.equal(next.client, server.clients[1])
  t.strictSame(next.client.calls, [])
  t.strictSame(server.clients[0]!.calls, ['reset', 'ping', 'close'])
})

t.test(
  'R03 X02: a client that died unnoticed is replaced, and the borrower does not notice',
  async t => {
    const { pool, server, events, errors } = buildPool(t, { poolSize: 1, isPrePing: true })
    const [client] = await fillIdle(pool, 1)
    client!.pingReply = socketReset()
    const lease = await pool.checkout()
    t.equal(lease.client, server.clients[1])
    t.strictSame(events.slice(2), ['close 1 ping', 'generation 1', 'checkout 2'])
    t.match(errors.get(1), { code: 'ECONNRESET' })
    t.match(pool.status(), { size: 1, generation: 1, counters: { pings: 1, pingFailures: 1 } })
    pool.checkin(lease)
    await assertFullCapacity(pool, 1)
  }
)

t.test(
  'R05 R51: with the server down the checkout fails with the error of the connect',
  async t => {
    const { pool, server } = buildPool(t, { isPrePing: true })
    const [first, second] = await fillIdle(pool, 2)
    for (const client of [first!, second!]) client.pingReply = socketReset()
    server.reply = loginRefused()
    for (let count = 0; count < 10; count += 1) {
      await t.rejects(pool.checkout(), { code: '28P01' })
      t.match(pool.status(), { size: 0, idle: 0, checkedOut: 0, waiting: 0 })
    }
    t.strictSame(server.closes, [1, 1])
    t.equal(pool.generation, 1)
    server.reply = 'ok'
    await assertFullCapacity(pool, 2)
  }
)

t.test('R08: only the client that was lent is reset, not the one that it replaced', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = socketReset()
  pool.checkin(await pool.checkout())
  t.strictSame(client!.calls, ['reset', 'ping', 'close'])
  t.strictSame(server.clients[1]!.calls, ['reset'])
})

t.test('a failed ping whose error is about one client leaves the other ones alone', async t => {
  const { pool, server } = buildPool(t, { isPrePing: true })
  const [other, dead] = await fillIdle(pool, 2)
  dead!.pingReply = idleSessionTimeout()
  const lease = await pool.checkout()
  t.equal(lease.client, other)
  t.equal(pool.generation, 0)
  t.strictSame(server.closes, [0, 1])
})

t.test('after three dead clients, idle or new, the checkout fails with the last error', async t => {
  const { pool, server } = buildPool(t, { isPrePing: true })
  for (const client of await fillIdle(pool, 2)) client.pingReply = idleSessionTimeout()
  server.script('dead')
  const checkout = start(pool)
  await settle()
  t.equal(checkout.error, server.clients[2]!.lost)
  t.match(pool.status(), { size: 0, checkedOut: 0, counters: { pingFailures: 2, connects: 3 } })
  t.strictSame(server.closes, [1, 1, 1])
  await assertFullCapacity(pool, 2)
})

t.test(
  'R28 R29 R30: whatever a ping is answered with but its answer, the client is replaced',
  async t => {
    for (const error of [syntaxError(), new Error('what?'), new TypeError('a bug')]) {
      const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
      const [client] = await fillIdle(pool, 1)
      client!.pingReply = error
      const lease = await pool.checkout()
      t.equal(lease.client, server.clients[1])
      t.equal(pool.generation, 0)
    }
  }
)

function judgePing(verdict: Verdict) {
  const asked: unknown[] = []
  const judge = (error: unknown, phase: string, client: unknown): Verdict => {
    asked.push([error, phase, client])
    return verdict
  }
  return { asked, judge }
}

t.test('R04 R31 R32 R38 X40: who judges a failed ping is asked once, with the client', async t => {
  const { asked, judge } = judgePing({ failure: 'disconnect', scope: 'generation' })
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true, judge })
  const [client] = await fillIdle(pool, 1)
  const error = syntaxError()
  client!.pingReply = error
  const lease = await pool.checkout()
  t.strictSame(asked, [[error, 'ping', client]])
  t.equal(lease.client, server.clients[1])
  t.equal(pool.generation, 1)
})

t.test('R33: a failed ping that is judged to be no disconnect fails the checkout', async t => {
  const { judge } = judgePing({ failure: 'statement', scope: 'none' })
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true, judge })
  const [client] = await fillIdle(pool, 1)
  const error = socketReset()
  client!.pingReply = error
  await t.rejects(pool.checkout(), error)
  t.strictSame(server.closes, [1])
  t.match(pool.status(), { size: 0, checkedOut: 0, waiting: 0, generation: 0 })
  await assertFullCapacity(pool, 1)
})

t.test('X41: a failed ping that is judged to cost one client costs one client', async t => {
  const { judge } = judgePing({ failure: 'disconnect', scope: 'client' })
  const { pool } = buildPool(t, { isPrePing: true, judge })
  const [other, dead] = await fillIdle(pool, 2)
  dead!.pingReply = socketReset()
  const lease = await pool.checkout()
  t.equal(lease.client, other)
  t.equal(pool.generation, 0)
})
