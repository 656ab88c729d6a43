import t from 'tap'
import { OverloadedError, PoolTimeoutError } from '../../src/errors.js'
import {
  adminShutdown,
  loginRefused,
  refused,
  socketReset,
  tooManyClients
} from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import {
  assertFullCapacity,
  buildPool,
  fillIdle,
  start,
  startMany,
  takeMany
} from '../fixtures/fake-pool.js'

t.test('whoever meets a server that is away waits until it is back', async t => {
  const { pool, clock, events, server } = buildPool(t)
  server.reply = refused()
  const checkouts = startMany(pool, 5)
  await settle()
  t.match(pool.status(), { state: 'down', waiting: 5, size: 0 })
  await clock.advance(190)
  server.reply = 'ok'
  await clock.advance(45)
  t.equal(checkouts.filter(({ state }) => state === 'resolved').length, 2)
  t.ok(
    server.connects <= 2 + 8 + 2,
    `${server.connects} connects: the first, the probes, and the two`
  )
  t.match(pool.status(), { state: 'up', waiting: 3 })
  t.strictSame(events.slice(0, 2), ['down', 'up 200'], 'told once')
  for (const checkout of checkouts) {
    pool.checkin(checkout.value)
    await settle()
  }
  await assertFullCapacity(pool, 2)
})

t.test(
  'R51: but no longer than recovery_timeout, and is told why the last connect failed',
  async t => {
    const { pool, clock, server } = buildPool(t, { recoveryTimeout: 1000 })
    server.reply = refused()
    const checkouts = startMany(pool, 100)
    await clock.advance(999)
    for (const { state } of checkouts) t.equal(state, 'pending')
    const late = start(pool)
    await clock.advance(1)
    for (const { error } of checkouts) t.match(error, { code: 'ECONNREFUSED' })
    t.equal(late.state, 'pending', 'each has its own time')
    await clock.advance(999)
    t.match(late.error, { code: 'ECONNREFUSED' })
    t.match(pool.status(), { size: 0, waiting: 0, generation: 0, state: 'down' })
    server.reply = 'ok'
    await clock.advance(2000)
    t.equal(pool.status().state, 'up')
    await assertFullCapacity(pool, 2)
  }
)

t.test('with a recovery_timeout of 0 nobody waits for a server that is away', async t => {
  const { pool, clock, server } = buildPool(t, { recoveryTimeout: 0 })
  server.reply = refused()
  await t.rejects(pool.checkout(), { code: 'ECONNREFUSED' })
  for (let count = 0; count < 100; count += 1) {
    await t.rejects(pool.checkout(), { code: 'ECONNREFUSED' })
  }
  t.equal(server.connects, 1, 'the failure is remembered, not repeated')
  server.reply = 'ok'
  await clock.advance(45)
  await assertFullCapacity(pool, 2)
})

t.test('nor does who would be late for the next probe', async t => {
  const { pool, clock, server } = buildPool(t, { random: () => 0.5 })
  server.reply = refused()
  const first = start(pool)
  await settle()
  await t.rejects(pool.checkout({ deadline: clock.now() + 34 }), { code: 'ECONNREFUSED' })
  const inTime = start(pool, { deadline: clock.now() + 36 })
  server.reply = 'ok'
  await clock.advance(35)
  pool.checkin(first.value)
  pool.checkin(inTime.value)
})

t.test('one session that is ended while it logs in costs nobody anything', async t => {
  const { pool, events, server } = buildPool(t, { recoveryTimeout: 0 })
  server.script(adminShutdown())
  pool.checkin(await pool.checkout())
  server.script(socketReset())
  const [first, second] = await takeMany(pool, 2)
  t.equal(server.connects, 4)
  t.notOk(events.includes('down'))
  pool.checkin(first!)
  pool.checkin(second!)
})

t.test('two in a row are a server that goes away', async t => {
  const { pool, clock, events, server } = buildPool(t)
  server.reply = adminShutdown()
  const checkout = start(pool)
  await settle()
  t.equal(server.connects, 2)
  t.strictSame(events, ['down'])
  server.reply = 'ok'
  await clock.advance(25)
  pool.checkin(checkout.value)
})

t.test('with a pool_timeout of 0 nobody waits for anything', async t => {
  const { pool, clock, server } = buildPool(t, { timeout: 0 })
  server.reply = refused()
  const first = start(pool)
  await settle()
  t.equal(first.state, 'pending', 'it waited for its own connect, and goes on')
  await t.rejects(pool.checkout(), { code: 'ECONNREFUSED' })
  server.reply = 'ok'
  await clock.advance(25)
  pool.checkin(first.value)
})

t.test('a time-out says whether the server is away or every client in use', async t => {
  const { pool, clock, server } = buildPool(t, { timeout: 100 })
  const [lease] = await takeMany(pool, 1)
  server.reply = refused()
  const away = start(pool)
  await settle()
  server.reply = 'hang'
  await clock.advance(100)
  t.match(away.error, { code: 'ECONNREFUSED' })
  t.equal(pool.status().counters.timeouts, 1)
  server.reply = 'ok'
  for (const attempt of server.hanging.splice(0)) attempt.succeed()
  await settle()
  const [other] = await takeMany(pool, 1)
  const exhausted = start(pool)
  await clock.advance(100)
  t.ok(exhausted.error instanceof PoolTimeoutError)
  pool.checkin(lease!)
  pool.checkin(other!)
})

t.test('clients that idle are lent while the server is away, after a ping each', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, window: 60_000 })
  const [client] = await fillIdle(pool, 1)
  const [held] = await takeMany(pool, 1)
  server.reply = refused()
  const parked = start(pool)
  await settle()
  pool.checkin(held!)
  await settle()
  t.equal(parked.value.client, client)
  t.equal(client!.calls.filter(call => call === 'ping').length, 1)
  pool.checkin(parked.value)
  server.reply = 'ok'
  await clock.advance(45)
})

t.test('one that no longer answers costs a try, and the checkout waits on', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, maxOverflow: 1 })
  const [held] = await takeMany(pool, 1)
  server.reply = refused()
  const parked = start(pool)
  await settle()
  held!.client.pingReply = adminShutdown()
  pool.checkin(held!)
  await settle()
  t.equal(parked.state, 'pending')
  server.reply = 'ok'
  await clock.advance(45)
  pool.checkin(parked.value)
})

t.test(
  'a failure of the one who connects is that one’s, and opens the gate: the server is there',
  async t => {
    const { pool, clock, server } = buildPool(t)
    server.reply = refused()
    const [first, second] = startMany(pool, 2)
    await settle()
    server.script(loginRefused())
    server.reply = 'ok'
    await clock.advance(25)
    t.equal(pool.status().state, 'up')
    pool.checkin(first!.value)
    await settle()
    pool.checkin(second!.value)
  }
)

t.test('a full server is waited for like one that is away, and is up', async t => {
  const { pool, clock, events, server } = buildPool(t, { recoveryTimeout: 1000 })
  server.reply = tooManyClients()
  const checkout = start(pool)
  await settle()
  t.match(pool.status(), { state: 'up', waiting: 1, generation: 0 })
  await clock.advance(1000)
  t.match(checkout.error, { code: '53300' })
  t.ok(server.connects < 60, `paced: ${server.connects} connects`)
  server.reply = 'ok'
  await clock.advance(2000)
  t.equal(events[0], 'down')
  await assertFullCapacity(pool, 2)
})

t.test('but clients that are lent will come back: for them a checkout waits on', async t => {
  const { pool, clock, server } = buildPool(t, { recoveryTimeout: 0 })
  const [held] = await takeMany(pool, 1)
  server.reply = tooManyClients()
  const waiting = start(pool)
  await clock.advance(1000)
  t.equal(waiting.state, 'pending')
  pool.checkin(held!)
  await settle()
  pool.checkin(waiting.value)
  server.reply = 'ok'
  await clock.advance(2000)
})

t.test('who waits for a server that is away counts for pool_max_waiting', async t => {
  const { pool, clock, server } = buildPool(t, { maxWaiting: 3 })
  server.reply = refused()
  const waiting = startMany(pool, 3)
  await settle()
  await t.rejects(pool.checkout(), OverloadedError)
  server.reply = 'ok'
  await clock.advance(45)
  for (const checkout of waiting) {
    pool.checkin(checkout.value)
    await settle()
  }
})

t.test('a server that took leave is met by one connect, however many wait', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 40 })
  const leases = await takeMany(pool, 40)
  pool.invalidate(adminShutdown())
  for (const lease of leases) pool.checkin(lease)
  server.reply = 'hang'
  const before = server.connects
  const checkouts = startMany(pool, 40)
  const connecting: number[] = []
  for (let round = 0; round < 5; round += 1) {
    await settle()
    connecting.push(pool.status().connecting)
    for (const attempt of server.hanging.splice(0)) attempt.succeed()
  }
  t.strictSame(connecting, [1, 2, 4, 8, 10], 'then two, four, and at most a quarter of the pool')
  while (server.hanging.length > 0 || pool.status().waiting > 0) {
    await settle()
    for (const attempt of server.hanging.splice(0)) attempt.succeed()
  }
  t.equal(server.connects - before, 40)
  for (const checkout of checkouts) pool.checkin(checkout.value)
  await clock.advance(0)
})

t.test('a prober works on when nobody waits, and its client is kept', async t => {
  const { pool, clock, events, server } = buildPool(t, { recoveryTimeout: 0 })
  server.reply = refused()
  await t.rejects(pool.checkout())
  await clock.advance(60_000)
  server.reply = 'ok'
  await clock.advance(2000)
  t.match(pool.status(), { state: 'up', idle: 1 })
  t.equal(events.filter(event => event.startsWith('up')).length, 1)
  t.ok(server.connects < 150, `${server.connects} connects in a minute`)
})

t.test('a closed pool probes no more', async t => {
  const { pool, clock, server } = buildPool(t)
  server.reply = refused()
  const waiting = start(pool)
  await settle()
  const closed = pool.close(0)
  await clock.advance(10_000)
  await closed
  t.equal(waiting.state, 'rejected')
  t.equal(server.connects, 1)
})

t.test('when to come back follows from the outage, and from the backlog', async t => {
  const { pool, clock, server } = buildPool(t, {
    poolSize: 1,
    timeout: 100_000,
    recoveryTimeout: 60_000
  })
  t.equal(pool.retryAfter('server'), 0)
  t.equal(pool.retryAfter('client'), 0)
  const checkouts = startMany(pool, 60)
  await settle()
  for (const checkout of checkouts.slice(0, 50)) {
    await clock.advance(100)
    pool.checkin(checkout.value)
    await settle()
  }
  t.equal(Math.round(pool.retryAfter('client')), 900)
  for (const checkout of checkouts.slice(50)) {
    pool.checkin(checkout.value, 'error')
    await settle()
  }
  server.reply = refused()
  const parked = start(pool)
  await clock.advance(40_000)
  t.ok(pool.retryAfter('server') >= 10_000)
  server.reply = 'ok'
  await clock.advance(2000)
  pool.checkin(parked.value)
})

t.test(
  'what is too old is not replaced while the server is away: one prober connects, nobody else',
  async t => {
    const { pool, clock, server } = buildPool(t, { recycle: 1000 })
    const [held] = await takeMany(pool, 1)
    server.reply = refused()
    const parked = start(pool)
    await settle()
    await clock.advance(1010)
    server.reply = 'hang'
    await clock.advance(45)
    const before = server.connects
    pool.checkin(held!)
    await settle()
    t.match(pool.status(), { state: 'down', connecting: 1 })
    t.equal(server.connects, before)
    server.reply = 'ok'
    for (const attempt of server.hanging.splice(0)) attempt.succeed()
    await settle()
    pool.checkin(parked.value)
  }
)

t.test('a full server that goes away is away, and one that comes back full is full', async t => {
  const { pool, clock, events, server } = buildPool(t, { recoveryTimeout: 1000 })
  server.reply = tooManyClients()
  const waiting = start(pool)
  await settle()
  t.match(pool.status(), { state: 'up', waiting: 1 })
  server.reply = refused()
  await clock.advance(45)
  t.match(pool.status(), { state: 'down', waiting: 1 })
  server.reply = tooManyClients()
  await clock.advance(45)
  t.match(pool.status(), { state: 'up', waiting: 1 })
  t.strictSame(events, ['down'], 'told once')
  server.reply = 'ok'
  await clock.advance(45)
  pool.checkin(waiting.value)
})

t.test(
  'who waits for others of a full server waits no longer once none are left to come back',
  async t => {
    const { pool, clock, server } = buildPool(t, { recoveryTimeout: 1000 })
    const [held] = await takeMany(pool, 1)
    server.reply = tooManyClients()
    const waiting = start(pool)
    await clock.advance(2000)
    t.equal(waiting.state, 'pending')
    pool.checkin(held!, 'error')
    await clock.advance(200)
    t.match(waiting.error, { code: '53300' })
    server.reply = 'ok'
    await clock.advance(2000)
  }
)

t.test('who has waited for a server in one outage has all its time in the next', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 1, recoveryTimeout: 1000 })
  server.reply = refused()
  const [first, second] = startMany(pool, 2)
  await clock.advance(900)
  server.reply = 'ok'
  await clock.advance(45)
  server.reply = refused()
  pool.checkin(first!.value, 'error')
  await clock.advance(900)
  t.equal(second!.state, 'pending')
  server.reply = 'ok'
  await clock.advance(45)
  pool.checkin(second!.value)
})

t.test('nor does a probe that hangs keep them waiting then', async t => {
  const { pool, clock, server } = buildPool(t, { recoveryTimeout: 1000 })
  const [held] = await takeMany(pool, 1)
  server.reply = tooManyClients()
  const waiting = start(pool)
  await settle()
  server.reply = 'hang'
  await clock.advance(100)
  pool.checkin(held!, 'error')
  await clock.advance(900)
  t.match(waiting.error, { code: '53300' })
  server.reply = 'ok'
  for (const attempt of server.hanging.splice(0)) attempt.succeed()
  await settle()
})

t.test(
  'X04: one of twenty taken leave of costs one connect at first, and all in the end',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 20, isPrePing: true })
    const [killed] = await fillIdle(pool, 20)
    killed!.pingReply = adminShutdown()
    server.reply = 'hang'
    const before = server.connects
    const connecting: number[] = []
    const takeAll = async () => {
      const checkouts = startMany(pool, 20)
      while (checkouts.some(({ state }) => state === 'pending')) {
        await settle()
        connecting.push(server.hanging.length)
        for (const attempt of server.hanging.splice(0)) attempt.succeed()
        await settle()
      }
      for (const checkout of checkouts) pool.checkin(checkout.value)
    }
    await takeAll()
    t.strictSame(connecting, [1], 'whether the server still takes clients, one shows')
    await takeAll()
    t.strictSame(
      connecting,
      [1, 5, 5, 5, 4],
      'the rest when somebody wants them, a quarter at a time'
    )
    t.equal(server.connects - before, 20)
    t.match(pool.status(), { generation: 1, size: 20, idle: 20 })
  }
)

t.test('X04: where the hook says that it is one client, one is replaced', async t => {
  const judge = () => ({ failure: 'disconnect', scope: 'client' }) as const
  const { pool, server } = buildPool(t, { poolSize: 20, isPrePing: true, judge })
  const [killed] = await fillIdle(pool, 20)
  killed!.pingReply = adminShutdown()
  const leases = await takeMany(pool, 20)
  t.equal(server.connects, 21)
  t.match(pool.status(), { generation: 0, size: 20 })
  for (const lease of leases) pool.checkin(lease)
})
