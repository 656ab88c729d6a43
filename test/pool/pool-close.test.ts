import t from 'tap'
import { EngineClosedError } from '../../src/errors.js'
import { loginRefused, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { buildPool, fillIdle, start, startMany, takeMany, Watched } from '../fixtures/fake-pool.js'

const NO_TIMERS = { foreground: 0, background: 0 }

t.test('P13 P18 A06: closing closes every idle client, and none before', async t => {
  const { pool, clock, server, events } = buildPool(t, { poolSize: 3, recycle: 1000 })
  await fillIdle(pool, 3)
  t.strictSame(server.closes, [0, 0, 0])
  await pool.close(1000)
  t.strictSame(server.closes, [1, 1, 1])
  t.strictSame(events.slice(-3), ['close 1 close', 'close 2 close', 'close 3 close'])
  t.match(pool.status(), { size: 0, idle: 0, checkedOut: 0, connecting: 0, waiting: 0 })
  t.strictSame(clock.pending, NO_TIMERS)
})

t.test('X45: after closing nobody gets a client', async t => {
  const { pool, server } = buildPool(t)
  await fillIdle(pool, 1)
  await pool.close(1000)
  await t.rejects(pool.checkout(), EngineClosedError)
  await t.rejects(pool.checkout(), { code: 'FST_DB_ENGINE_CLOSED' })
  t.equal(server.connects, 1)
})

t.test('X46: waiters are refused at once when the pool closes', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const waiters = startMany(pool, 3)
  const closed = pool.close(1000)
  await settle()
  for (const waiter of waiters) t.match(waiter.error, { code: 'FST_DB_ENGINE_CLOSED' })
  t.equal(pool.status().waiting, 0)
  t.strictSame(clock.pending, { foreground: 1, background: 0 }, 'only the limit of the close')
  pool.checkin(lease!)
  await closed
  t.strictSame(clock.pending, NO_TIMERS)
})

t.test('X44: closing waits for lent clients, and closes each when it comes back', async t => {
  const { pool, server, events } = buildPool(t)
  const [first, second] = await takeMany(pool, 2)
  const closed = new Watched(pool.close(10_000))
  pool.checkin(first!)
  await settle()
  t.strictSame(server.closes, [1, 0])
  t.equal(closed.state, 'pending')
  pool.checkin(second!)
  await settle()
  t.strictSame(server.closes, [1, 1])
  t.equal(closed.state, 'resolved')
  t.strictSame(first!.client.calls, ['close'], 'without a reset')
  t.strictSame(events.slice(-4), ['close 1 close', 'checkin', 'close 2 close', 'checkin'])
})

t.test('X44: what is not back in time is closed by force', async t => {
  const { pool, clock, server } = buildPool(t)
  const [first, second] = await takeMany(pool, 2)
  const closed = new Watched(pool.close(10_000))
  pool.checkin(first!)
  await clock.advance(9999)
  t.equal(closed.state, 'pending')
  t.strictSame(server.closes, [1, 0])
  await clock.advance(1)
  t.equal(closed.state, 'resolved')
  t.strictSame(server.closes, [1, 1])
  t.match(pool.status(), { size: 0, checkedOut: 0 })
  pool.checkin(second!)
  t.strictSame(server.closes, [1, 1], 'and not again when it comes back after all')
})

t.test('closing is over when the last socket is closed', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [client] = await fillIdle(pool, 1)
  client!.isCloseSlow = true
  const closed = new Watched(pool.close(1000))
  await settle()
  t.equal(closed.state, 'pending')
  client!.finishClose()
  await settle()
  t.equal(closed.state, 'resolved')
  t.strictSame(server.closes, [1])
})

t.test('closing also waits for the socket of a client that was replaced before', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  lease!.client.isCloseSlow = true
  pool.checkin(lease!, 'user')
  const closed = new Watched(pool.close(1000))
  await settle()
  t.equal(closed.state, 'pending')
  lease!.client.finishClose()
  await settle()
  t.equal(closed.state, 'resolved')
})

t.test('closing calls off connects, and refuses those who wait for them', async t => {
  const { pool, clock, server } = buildPool(t)
  server.reply = 'hang'
  const checkouts = startMany(pool, 2)
  await pool.close(1000)
  for (const { signal } of server.hanging) t.equal(signal.aborted, true)
  for (const { error } of checkouts) t.match(error, { code: 'FST_DB_ENGINE_CLOSED' })
  t.match(pool.status(), { size: 0, connecting: 0 })
  t.strictSame(clock.pending, NO_TIMERS)
})

t.test('a client that connects while the pool closes is closed and not lent', async t => {
  const { pool, server, events } = buildPool(t)
  server.isDeafToAbort = true
  server.script('hang')
  const checkout = start(pool)
  const closed = new Watched(pool.close(1000))
  await settle()
  t.match(checkout.error, { code: 'FST_DB_ENGINE_CLOSED' })
  t.equal(closed.state, 'pending')
  server.hanging[0]!.succeed()
  await settle()
  t.strictSame(server.closes, [1])
  t.strictSame(events, ['close 1 close'])
  t.equal(closed.state, 'resolved')
})

t.test(
  'a checkout whose ping is on its way is refused after it, and the client closed',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
    const [client] = await fillIdle(pool, 1)
    client!.pingReply = 'hang'
    const checkout = start(pool)
    const closed = new Watched(pool.close(1000))
    client!.answer()
    await settle()
    t.match(checkout.error, { code: 'FST_DB_ENGINE_CLOSED' })
    t.strictSame(server.closes, [1])
    t.equal(closed.state, 'resolved')
  }
)

t.test('a ping that fails while the pool closes is followed by no connect', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'hang'
  const checkout = start(pool)
  const closed = new Watched(pool.close(1000))
  client!.lose(socketReset())
  await settle()
  t.match(checkout.error, { code: 'FST_DB_ENGINE_CLOSED' })
  t.equal(closed.state, 'resolved')
  t.equal(server.connects, 1)
  t.equal(pool.generation, 0)
})

t.test('a ping that hangs does not hold up the closing beyond its limit', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'hang'
  const checkout = start(pool)
  const closed = new Watched(pool.close(500))
  await clock.advance(500)
  t.equal(closed.state, 'resolved')
  t.equal(checkout.state, 'rejected')
  t.strictSame(server.closes, [1])
})

t.test('a reset that is on its way is awaited, and the client closed after it', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  lease!.client.resetReply = 'hang'
  pool.checkin(lease!)
  const closed = new Watched(pool.close(1000))
  await settle()
  t.equal(closed.state, 'pending')
  lease!.client.answer()
  await settle()
  t.equal(closed.state, 'resolved')
  t.strictSame(server.closes, [1])
})

t.test('a lent client that is lost while the pool closes is closed when it comes back', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const closed = new Watched(pool.close(1000))
  lease!.client.lose(socketReset())
  pool.checkin(lease!, 'error', socketReset())
  await settle()
  t.equal(closed.state, 'resolved')
  t.strictSame(server.closes, [1])
})

t.test('a closed pool can be invalidated no more', async t => {
  const { pool, events } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const closed = pool.close(1000)
  t.equal(pool.invalidate(loginRefused()), false)
  t.equal(pool.generation, 0)
  pool.checkin(lease!)
  await closed
  t.notOk(events.includes('generation 1'))
})

t.test('a client detached while the pool closes is not waited for', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const closed = pool.close(1000)
  pool.detach(lease!)
  await closed
  t.strictSame(server.closes, [0])
  pool.checkin(lease!)
  t.strictSame(server.closes, [1])
})
