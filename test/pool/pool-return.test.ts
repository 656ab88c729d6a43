import t from 'tap'
import { loginRefused, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, start, takeMany } from '../fixtures/fake-pool.js'

t.test('P33 P34: a client is reset when it comes back, and lent again after that', async t => {
  const { pool, events } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  lease!.client.resetReply = 'hang'
  pool.checkin(lease!)
  const waiter = start(pool)
  await settle()
  t.equal(waiter.state, 'pending')
  t.match(pool.status(), { checkedOut: 1, idle: 0, waiting: 1 })
  t.strictSame(events, ['checkout 1'])
  lease!.client.answer()
  await settle()
  t.equal(waiter.value.client, lease!.client)
  t.strictSame(events, ['checkout 1', 'checkin 1', 'checkout 1'])
})

t.test('P84: a client that needs no reset is there for the next one in the same tick', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!)
  t.match(pool.status(), { idle: 1, checkedOut: 0 })
})

t.test('X11 X13: a reset that fails costs the client, and its place is free', async t => {
  const { pool, server, events, errors } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const waiter = start(pool)
  const error = new Error('ROLLBACK failed')
  lease!.client.resetReply = error
  pool.checkin(lease!)
  await settle()
  t.equal(waiter.value.client.id, 2)
  t.strictSame(server.closes, [1, 0])
  t.strictSame(events.slice(1, 3), ['close 1 reset', 'checkin'])
  t.equal(errors.get(1), error)
  t.equal(pool.generation, 0)
  pool.checkin(waiter.value)
  await assertFullCapacity(pool, 1)
})

t.test('X09: a client lost during its reset is replaced, and only that one', async t => {
  const { pool, server } = buildPool(t)
  const [lease, other] = await takeMany(pool, 2)
  lease!.client.resetReply = 'hang'
  pool.checkin(lease!)
  lease!.client.lose(socketReset())
  await settle()
  t.strictSame(server.closes, [1, 0])
  t.match(pool.status(), { size: 1, generation: 0 })
  pool.checkin(other!)
  await assertFullCapacity(pool, 2)
})

t.test('X09: a client lost while it was lent is not reset', async t => {
  const { pool, events, errors } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  const error = socketReset()
  lease!.client.lose(error)
  pool.checkin(lease!)
  t.equal(errors.get(1), error)
  t.strictSame(lease!.client.calls, ['close'])
  t.strictSame(events.slice(-2), ['close 1 error', 'checkin'])
  await assertFullCapacity(pool, 2)
})

t.test('a reset that hangs holds up its own client and nobody else', async t => {
  const { pool } = buildPool(t)
  const [hanging, other] = await takeMany(pool, 2)
  hanging!.client.resetReply = 'hang'
  pool.checkin(hanging!)
  pool.checkin(other!)
  const lease = await pool.checkout()
  t.equal(lease.client, other!.client)
  t.match(pool.status(), { size: 2, checkedOut: 2 })
  hanging!.client.lose(new Error('not reset in time'))
  await settle()
  pool.checkin(lease)
  await assertFullCapacity(pool, 2)
})

t.test('a client that grew too old during its reset is not kept', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recycle: 1000 })
  const [lease] = await takeMany(pool, 1)
  await clock.advance(900)
  lease!.client.resetReply = 'hang'
  pool.checkin(lease!)
  await clock.advance(200)
  lease!.client.answer()
  await settle()
  t.strictSame(server.closes, [1, 0])
  await assertFullCapacity(pool, 1)
})

t.test(
  'P63: a softly invalidated client works until it comes back, and is replaced then',
  async t => {
    const { pool, server, events } = buildPool(t, { poolSize: 1 })
    const [lease] = await takeMany(pool, 1)
    pool.invalidateSoftly(lease!, undefined)
    t.strictSame(server.closes, [0])
    t.match(pool.status(), { checkedOut: 1, size: 1 })
    pool.checkin(lease!)
    t.strictSame(lease!.client.calls, ['close'])
    t.strictSame(events.slice(1), ['soft 1', 'close 1 soft', 'checkin'])
    await assertFullCapacity(pool, 1)
    t.strictSame(server.open, [2])
  }
)

t.test('P63: a soft invalidation leaves the other clients alone', async t => {
  const { pool, server } = buildPool(t)
  const [lease, other] = await takeMany(pool, 2)
  pool.invalidateSoftly(lease!, undefined)
  pool.checkin(other!)
  pool.checkin(lease!)
  t.strictSame(server.closes, [1, 0])
  t.equal(pool.generation, 0)
  await assertFullCapacity(pool, 2)
})

t.test('P74: a detached client leaves its place to the next one at once', async t => {
  const { pool, server, events } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  const waiter = start(pool)
  pool.detach(lease!)
  await settle()
  t.equal(waiter.value.client.id, 2)
  t.match(pool.status(), { size: 1, checkedOut: 1 })
  t.strictSame(server.closes, [0, 0])
  pool.checkin(lease!)
  t.strictSame(server.closes, [1, 0])
  t.strictSame(events, ['checkout 1', 'detach 1', 'checkout 2', 'close 1 detach'])
  pool.checkin(waiter.value)
  await assertFullCapacity(pool, 1)
})

t.test('P19 X15: a detached client that fails is closed once, and troubles nobody', async t => {
  const { pool, server, events } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  pool.detach(lease!)
  pool.detach(lease!)
  t.strictSame(events, ['checkout 1', 'detach 1'])
  lease!.client.lose(socketReset())
  t.equal(pool.generation, 0)
  pool.checkin(lease!, 'error', socketReset())
  pool.checkin(lease!)
  t.strictSame(server.closes, [1])
  await assertFullCapacity(pool, 2)
})

t.test('R36: a client that was given back cannot be detached any more', async t => {
  const { pool, events } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!)
  pool.detach(lease!)
  t.strictSame(events, ['checkout 1', 'checkin 1'])
  await assertFullCapacity(pool, 1)
})

t.test('P07 P75: after an invalidated client the next one is pooled as ever', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!, 'user')
  pool.checkin(lease!, 'user')
  t.strictSame(server.closes, [1])
  await assertFullCapacity(pool, 1)
  await assertFullCapacity(pool, 1)
  t.equal(server.connects, 2)
})

t.test('P30 P31: the checkout hook runs once for each loan, before it', async t => {
  const { pool, events } = buildPool(t, { poolSize: 1 })
  for (let round = 0; round < 2; round += 1) pool.checkin(await pool.checkout())
  t.strictSame(events, ['checkout 1', 'checkin 1', 'checkout 1', 'checkin 1'])
})

t.test('P68: a checkout hook that throws fails the checkout, and costs the client', async t => {
  const error = new Error('not this one')
  let isThrowing = true
  const onCheckout = () => {
    if (isThrowing) throw error
  }
  const { pool, server, errors } = buildPool(t, { poolSize: 1, onCheckout })
  const before = pool.status()
  await t.rejects(pool.checkout(), error)
  t.match(pool.status(), { ...before, counters: { checkouts: 0 } }, 'as before')
  t.strictSame(server.closes, [1])
  t.equal(errors.get(1), error)
  isThrowing = false
  await assertFullCapacity(pool, 1)
})

t.test('P68: a checkout hook that throws leaves room for the next waiter', async t => {
  const onCheckout = ({ id }: { id: number }) => {
    if (id === 1) throw new Error('not this one')
  }
  const { pool, server } = buildPool(t, { poolSize: 1, onCheckout })
  server.script('hang')
  const first = start(pool)
  const second = start(pool)
  server.hanging[0]!.succeed()
  await settle()
  t.equal(first.state, 'rejected')
  t.equal(second.value.client.id, 2)
})

t.test('P68 P69: a checkout hook that throws a disconnect has the next client tried', async t => {
  const onCheckout = ({ id }: { id: number }) => {
    if (id < 3) throw socketReset()
  }
  const { pool, server } = buildPool(t, { poolSize: 1, onCheckout })
  const lease = await pool.checkout()
  t.equal(lease.client.id, 3)
  t.strictSame(server.closes, [1, 1, 0])
  pool.checkin(lease)
  await assertFullCapacity(pool, 1)
})

t.test('P68: a checkout hook that always throws a disconnect is asked three times', async t => {
  const { pool, server, events } = buildPool(t, {
    onCheckout: () => {
      throw loginRefused()
    }
  })
  await t.rejects(pool.checkout(), { code: '28P01' })
  t.strictSame(
    events.filter(event => event.startsWith('checkout')),
    ['checkout 1', 'checkout 2', 'checkout 3']
  )
  t.strictSame(server.closes, [1, 1, 1])
  t.match(pool.status(), { size: 0, checkedOut: 0, waiting: 0 })
})
