import { getEventListeners } from 'node:events'
import t from 'tap'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  start,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

const GONE = new Error('the caller has gone')

function caller() {
  const controller = new AbortController()
  const { signal } = controller
  return {
    signal,
    leave: () => controller.abort(GONE),
    listeners: () => getEventListeners(signal, 'abort').length
  }
}

t.test('X18: whose signal is aborted already gets nothing, and nothing is opened', async t => {
  const { pool, server } = buildPool(t)
  await t.rejects(pool.checkout({ signal: AbortSignal.abort(GONE) }), GONE)
  t.equal(server.connects, 0)
  await assertFullCapacity(pool, 2)
})

t.test('X18: a waiter that leaves makes way for the next one', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const { leave, signal, listeners } = caller()
  const leaving = start(pool, { signal })
  const staying = start(pool)
  leave()
  await settle()
  t.equal(leaving.error, GONE)
  t.equal(listeners(), 0)
  t.match(pool.status(), { waiting: 1, counters: { timeouts: 0 } })
  pool.checkin(lease!)
  await settle()
  pool.checkin(staying.value)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await assertFullCapacity(pool, 1)
})

t.test('X18: who leaves while a client connects leaves the client to the next one', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('hang')
  const { leave, signal } = caller()
  const leaving = start(pool, { signal })
  const staying = start(pool)
  leave()
  await settle()
  t.equal(leaving.error, GONE)
  t.equal(server.hanging[0]!.signal.aborted, false, 'somebody still needs it')
  server.hanging[0]!.succeed()
  await settle()
  t.equal(staying.value.client.id, 1)
  t.equal(server.connects, 1)
})

t.test('X18: who leaves while a client connects, and was alone, leaves it idle', async t => {
  const { pool, server } = buildPool(t)
  server.script('hang')
  const { leave, signal } = caller()
  start(pool, { signal })
  leave()
  server.hanging[0]!.succeed()
  await settle()
  t.match(pool.status(), { size: 1, idle: 1, waiting: 0, counters: { checkouts: 0 } })
  await assertFullCapacity(pool, 2)
})

t.test('X18: a connect that nobody waits for any more may fail, and nobody is told', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  server.script('hang')
  const { leave, signal } = caller()
  start(pool, { signal })
  leave()
  server.hanging[0]!.fail(new Error('refused'))
  await settle()
  t.match(pool.status(), { size: 0, connecting: 0, counters: { connectFailures: 1 } })
  await assertFullCapacity(pool, 1)
})

t.test('X18: the connect of one who left serves the next, and no second one is begun', async t => {
  const { pool, server } = buildPool(t)
  server.script('hang')
  const { leave, signal } = caller()
  start(pool, { signal })
  leave()
  const next = start(pool)
  t.match(pool.status(), { connecting: 1, waiting: 1 })
  server.hanging[0]!.succeed()
  await settle()
  t.equal(next.value.client.id, 1)
  t.equal(server.connects, 1)
})

t.test('X18: who leaves during a ping is gone at once, and the client lives', async t => {
  const { pool } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'hang'
  const { leave, signal, listeners } = caller()
  const leaving = start(pool, { signal })
  leave()
  await settle()
  t.equal(leaving.error, GONE)
  t.equal(listeners(), 0)
  t.match(pool.status(), { checkedOut: 1, idle: 0 })
  client!.answer()
  await settle()
  t.match(pool.status(), { checkedOut: 0, idle: 1 })
  client!.pingReply = 'ok'
  await assertFullCapacity(pool, 1)
})

t.test('X18: a client pinged for one who left goes to the first waiter', async t => {
  const { pool } = buildPool(t, { poolSize: 1, isPrePing: true, window: 500 })
  const [client] = await fillIdle(pool, 1)
  client!.heardAt = 0
  client!.pingReply = 'hang'
  const { leave, signal } = caller()
  start(pool, { signal })
  const [first, second] = startMany(pool, 2)
  leave()
  client!.answer()
  await settle()
  t.equal(first!.value.client, client)
  t.equal(second!.state, 'pending')
  t.strictSame(client!.calls, ['reset', 'ping'], 'and is not pinged again')
})

t.test('X18: a ping that fails for one who left costs the client and leaves room', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1, isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  client!.pingReply = 'silent'
  const { leave, signal } = caller()
  start(pool, { signal })
  const staying = start(pool)
  leave()
  await settle()
  client!.lose(new Error('gone'))
  await settle()
  t.equal(staying.value.client, server.clients[1])
  t.strictSame(server.closes, [1, 0])
  pool.checkin(staying.value)
  await assertFullCapacity(pool, 1)
})

t.test(
  'X18: an abort after the hand-over, in the same tick, leaves the client with the caller',
  async t => {
    const { pool } = buildPool(t, { poolSize: 1 })
    const [lease] = await takeMany(pool, 1)
    const { leave, signal } = caller()
    const waiter = start(pool, { signal })
    pool.checkin(lease!)
    leave()
    await settle()
    t.match(pool.status(), { checkedOut: 1, waiting: 0 })
    pool.checkin(waiter.value)
    await assertFullCapacity(pool, 1)
  }
)

t.test(
  'X18: an abort before the hand-over, in the same tick, leaves the client to the next',
  async t => {
    const { pool } = buildPool(t, { poolSize: 1 })
    const [lease] = await takeMany(pool, 1)
    const { leave, signal } = caller()
    const leaving = start(pool, { signal })
    const staying = start(pool)
    leave()
    pool.checkin(lease!)
    await settle()
    t.equal(leaving.error, GONE)
    t.equal(staying.value.client, lease!.client)
  }
)

t.test('X18: an abort in the tick in which a client has connected loses no slot', async t => {
  for (const isFirst of [true, false]) {
    const { pool, server } = buildPool(t, { poolSize: 1 })
    server.script('hang')
    const { leave, signal } = caller()
    const checkout = start(pool, { signal })
    if (isFirst) leave()
    server.hanging[0]!.succeed()
    if (!isFirst) leave()
    await settle()
    t.equal(checkout.state, 'rejected')
    t.match(pool.status(), { size: 1, idle: 1 })
    await assertFullCapacity(pool, 1)
  }
})

t.test('X18: a hundred who come and leave at every step leave a whole pool behind', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 2, isPrePing: true })
  for (let round = 0; round < 100; round += 1) {
    const { leave, signal } = caller()
    for (let count = 0; count < 4; count += 1) {
      const checkout = pool.checkout({ signal })
      checkout.then(
        lease => pool.checkin(lease),
        () => {}
      )
    }
    for (let ticks = 0; ticks < round % 7; ticks += 1) await Promise.resolve()
    leave()
    await settle()
  }
  await clock.advance(0)
  t.match(pool.status(), { checkedOut: 0, waiting: 0, connecting: 0 })
  await assertFullCapacity(pool, 2)
})
