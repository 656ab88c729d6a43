import t from 'tap'
import { adminShutdown, loginRefused, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

t.test('P62 P66: an invalidation closes idle clients at once', async t => {
  const { pool, server, events, errors } = buildPool(t, { poolSize: 3 })
  await fillIdle(pool, 3)
  const error = socketReset()
  t.equal(pool.invalidate(error), true)
  t.strictSame(server.closes, [1, 1, 1])
  t.match(pool.status(), { size: 0, idle: 0, generation: 1 })
  t.strictSame(events.slice(-4), [
    'close 1 generation',
    'close 2 generation',
    'close 3 generation',
    'generation 1'
  ])
  t.equal(errors.get(2), error)
  t.equal(server.connects, 3, 'new ones are opened when somebody wants one')
  await assertFullCapacity(pool, 3)
})

t.test('R09: an invalidation closes lent clients when they come back, without a reset', async t => {
  const { pool, server, events } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  pool.invalidate(socketReset())
  t.match(pool.status(), { size: 1, checkedOut: 1 })
  t.strictSame(server.closes, [0])
  pool.checkin(lease!)
  t.strictSame(lease!.client.calls, ['close'])
  t.strictSame(events.slice(-2), ['close 1 generation', 'checkin'])
  await assertFullCapacity(pool, 2)
})

t.test('R37 X38: a generation is invalidated once, however many of its clients fail', async t => {
  const { pool, events } = buildPool(t, { poolSize: 5 })
  const leases = await takeMany(pool, 5)
  const results = leases.map(lease => pool.invalidate(socketReset(), lease.generation))
  t.strictSame(results, [true, false, false, false, false])
  t.equal(pool.generation, 1)
  t.equal(events.filter(event => event.startsWith('generation')).length, 1)
  for (const lease of leases) pool.checkin(lease, 'error', socketReset())
  await assertFullCapacity(pool, 5)
})

t.test('X39: the late failure of an old client does not hurt new ones', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3 })
  const [old] = await takeMany(pool, 1)
  pool.invalidate(socketReset())
  await fillIdle(pool, 2)
  t.equal(pool.invalidate(socketReset(), old!.generation), false)
  pool.checkin(old!, 'error', socketReset())
  t.strictSame(server.closes, [1, 0, 0])
  t.match(pool.status(), { generation: 1, idle: 2 })
  await assertFullCapacity(pool, 3)
})

t.test('R43 P71 P73: one may invalidate twice, and get new clients each time', async t => {
  const { pool } = buildPool(t, { poolSize: 1 })
  const ids: number[] = []
  for (let round = 0; round < 3; round += 1) {
    const [client] = await fillIdle(pool, 1)
    ids.push(client!.id)
    pool.invalidate(undefined)
    pool.invalidate(undefined)
  }
  t.strictSame(ids, [1, 2, 3])
  t.equal(pool.generation, 6)
})

t.test('E12: after an invalidation every client is another one', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3 })
  await fillIdle(pool, 3)
  pool.invalidate(undefined, undefined, 'user')
  await assertFullCapacity(pool, 3)
  t.strictSame(server.open, [4, 5, 6])
})

t.test('E11: a client given back with an error is the only one that is replaced', async t => {
  const { pool, server, events, errors } = buildPool(t, { poolSize: 3 })
  const [lease, ...others] = await takeMany(pool, 3)
  for (const other of others) pool.checkin(other)
  const error = socketReset()
  pool.checkin(lease!, 'error', error)
  t.strictSame(server.closes, [1, 0, 0])
  t.strictSame(lease!.client.calls, ['close'])
  t.equal(errors.get(1), error)
  t.equal(pool.generation, 0)
  t.strictSame(events.slice(-2), ['close 1 error', 'checkin'])
  await assertFullCapacity(pool, 3)
  t.strictSame(server.open, [2, 3, 4])
})

for (const options of [
  { maxOverflow: 0, timeout: 30_000 },
  { maxOverflow: 3, timeout: 30_000 }
]) {
  t.test(
    `P53: whose holder is invalidated, all waiters are served: ${JSON.stringify(options)}`,
    async t => {
      const { pool } = buildPool(t, { poolSize: 1, ...options })
      const limit = 1 + options.maxOverflow
      const leases = await takeMany(pool, limit)
      const waiters = startMany(pool, 2)
      pool.invalidate(socketReset(), leases[0]!.generation)
      for (const lease of leases) pool.checkin(lease, 'error', socketReset())
      await settle()
      pool.checkin(waiters[0]!.value)
      await settle()
      pool.checkin(waiters[1]!.value)
      await assertFullCapacity(pool, limit)
    }
  )
}

t.test(
  'P55: five who wait for an invalidated client are served in turn by one new one',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 1 })
    const [lease] = await takeMany(pool, 1)
    const waiters = startMany(pool, 5)
    pool.checkin(lease!, 'error', socketReset())
    for (const waiter of waiters) {
      await settle()
      pool.checkin(waiter.value)
    }
    t.equal(server.connects, 2)
    t.strictSame(server.closes, [1, 0])
  }
)

t.test('P64 P66: when the server is down after an invalidation, nothing old is lent', async t => {
  const { pool, server } = buildPool(t, { poolSize: 1 })
  await fillIdle(pool, 1)
  pool.invalidate(adminShutdown())
  server.script(loginRefused(), loginRefused())
  for (let count = 0; count < 2; count += 1) {
    await t.rejects(pool.checkout(), { code: '28P01' })
    t.match(pool.status(), { size: 0, checkedOut: 0, overflow: 0 })
  }
  await assertFullCapacity(pool, 1)
  t.strictSame(server.closes, [1, 0])
})

t.test('P56 A06 A19: after an invalidation ten at once are served', async t => {
  const { pool } = buildPool(t, { poolSize: 10 })
  await fillIdle(pool, 2)
  pool.invalidate(undefined)
  t.match(pool.status(), { size: 0, idle: 0 })
  await assertFullCapacity(pool, 10)
})
