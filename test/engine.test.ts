import t from 'tap'
import { named } from './fixtures/app.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)

const ONE = { pool_size: 1, max_overflow: 0 }
const closed = { code: 'FST_DB_ENGINE_CLOSED' }

t.test('a query has a client for itself, and gives it back whatever becomes of it', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  t.match(await engine.query('select $1::int x', [1]), { rows: [{ x: 1 }] })
  await t.rejects(engine.query('select 1/0'), { code: '22012' })
  await engine.query("set work_mem = '64kB'; select 1")
  await engine.query('begin')
  await t.rejects(engine.query('savepoint a'), { code: '25P01' }, 'what is left open is undone')
  t.match(engine.status(), { size: 1, idle: 1, checkedOut: 0 })
})

t.test('A04 A19: ten at once on any pool, before and after dispose()', async t => {
  for (const options of [ONE, {}, { pool_size: 0 }, { poolclass: 'NullPool' }] as const) {
    const { engine } = openEngine(t, postgres.url, options)
    for (let round = 0; round < 2; round += 1) {
      const texts = Array.from({ length: 10 }, (_, i) => `select ${i} x`)
      const results = await Promise.all(texts.map(text => engine.query<{ x: number }>(text)))
      t.same(
        results.map(({ rows }) => rows[0]?.x),
        [...texts.keys()]
      )
      engine.dispose()
    }
    t.match(engine.status(), { checkedOut: 0, waiting: 0 })
  }
})

t.test('R46: without a pool the protocol of a lost connection is the same', async t => {
  const { engine } = openEngine(t, postgres.url, { poolclass: 'NullPool' })
  const db = requestOf(engine)
  await db.query('begin')
  const pid = await servedBy(db)
  await postgres.terminateBackends({ pids: [pid] })
  await t.rejects(db.query('select 1'), { code: /^FST_DB_/, statusCode: 503 })
  await t.rejects(db.query('select 1'), { code: 'FST_DB_PENDING_ROLLBACK' })
  await db.query('rollback')
  t.not(await servedBy(db), pid)
  db.end()
  t.equal(engine.status().size, 0)
})

t.test(
  'A10 A11 P14 P87 P88 X58: whoever finds no client in time is told so, at once if there is no time',
  async t => {
    const { engine } = openEngine(t, postgres.url, { ...ONE, pool_timeout: 0 })
    const holder = await engine.connect()
    const timeout = { code: 'FST_DB_POOL_TIMEOUT', statusCode: 503, retryable: true }
    await t.rejects(engine.query('select 1'), timeout)
    await t.rejects(engine.connect(), timeout)
    await t.rejects(requestOf(engine).query('select 1'), timeout)
    await t.rejects(
      engine.transaction(tx => tx.query('select 1')),
      timeout
    )
    holder.release()
    t.ok(await servedBy(engine))

    const { engine: patient } = openEngine(t, postgres.url, { ...ONE, pool_timeout: 1 })
    const other = await patient.connect()
    await t.rejects(patient.query('select 1'), timeout)
    t.match(patient.status(), { waiting: 0, counters: { timeouts: 1 } })
    other.release()
  }
)

t.test('X18: a signal calls off the wait for a client, and leaves none behind', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const reason = new Error('Nobody waits any more')
  await t.rejects(engine.connect({ signal: AbortSignal.abort(reason) }), reason)
  const holder = await engine.connect()
  const caller = new AbortController()
  const waiting = t.rejects(engine.connect({ signal: caller.signal }), reason)
  caller.abort(reason)
  await waiting
  t.equal(engine.status().waiting, 0)

  const atHandOver = new AbortController()
  const taken = engine.connect({ signal: atHandOver.signal })
  holder.release()
  atHandOver.abort(reason)
  await taken.then(
    connection => connection.release(),
    error => t.equal(error, reason)
  )
  await until(() => engine.status().idle === 1)
})

t.test('A06 A07: dispose() closes what is idle now and the rest when it comes back', async t => {
  const { engine } = openEngine(t, named(postgres.url, 'disposed'))
  const [a, b] = await Promise.all([engine.connect(), engine.connect()])
  const pid = await servedBy(a)
  b.release()
  engine.dispose()
  t.match(engine.status(), { size: 1, idle: 0, generation: 1 })
  t.equal(await servedBy(a), pid, 'what is lent works on')
  a.release()
  t.equal(engine.status().size, 0)
  while ((await postgres.backends({ applicationName: 'disposed' })).length > 0);
  t.not(await servedBy(engine), pid)
})

t.test('status() is a plain object that tells where the engine stands', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 1 })
  const connections = await Promise.all([engine.connect(), engine.connect()])
  const waiting = engine.connect()
  t.match(JSON.parse(JSON.stringify(engine.status())), {
    state: 'up',
    size: 2,
    idle: 0,
    checkedOut: 2,
    connecting: 0,
    overflow: 1,
    waiting: 1,
    generation: 0,
    counters: { checkouts: 2, connects: 2, connectFailures: 0, timeouts: 0 }
  })
  for (const connection of connections) connection.release()
  ;(await waiting).release()
  t.match(engine.status(), { checkedOut: 0, waiting: 0, counters: { checkouts: 3 } })
})

t.test(
  'P47: the options in force can be seen, and not be changed; secrets are not among them',
  async t => {
    const { engine } = openEngine(t, postgres.url, {
      pool_timeout: 0,
      pool_size: 1,
      max_overflow: 0,
      connect_args: { password: 'swordfish' }
    })
    t.match(engine.options, { pool_timeout: 0, pool_size: 1, pool_recycle: 300, echo: false })
    t.throws(() => Object.assign(engine.options, { pool_timeout: 30 }), TypeError)
    t.notMatch(JSON.stringify(engine.options), /swordfish|connect_args/)
    const holder = await engine.connect()
    await t.rejects(engine.connect(), { code: 'FST_DB_POOL_TIMEOUT' }, 'they are in force')
    holder.release()
  }
)

t.test('ping() resolves though every client is in use and requests wait', async t => {
  const { engine } = openEngine(t, named(postgres.url, 'pinged'), ONE)
  await engine.ping()
  const holder = await engine.connect()
  const waiting = engine.connect()
  await engine.ping()
  await engine.ping()
  t.match(engine.status(), { size: 1, checkedOut: 1, waiting: 1 })
  while ((await postgres.backends({ applicationName: 'pinged' })).length > 1);
  holder.release()
  ;(await waiting).release()
  await engine.ping()
  t.match(engine.status(), { size: 1, idle: 1 })
})

t.test('ping() tells of the server, not of one client that is dead', async t => {
  const { engine } = openEngine(t, postgres.url, { ...ONE, pool_pre_ping_timeout: 0.1 })
  const killed = await servedBy(engine)
  await postgres.terminateBackends({ pids: [killed] })
  await engine.ping()
  const frozen = await servedBy(engine)
  postgres.freeze(frozen)
  await engine.ping()
  t.not(await servedBy(engine), frozen)
})

t.test('ping() rejects when the server is away, and when its caller leaves', async t => {
  const proxy = await startProxy(t, postgres)
  const { engine } = openEngine(t, proxy.url(postgres.url), { ...ONE, connect_timeout: 1 })
  await engine.ping()
  proxy.refuse()
  proxy.cut('rst')
  await t.rejects(engine.ping(), { code: 'FST_DB_UNAVAILABLE', statusCode: 503 })
  await proxy.blackhole()
  await t.rejects(engine.ping(), { code: 'FST_DB_UNAVAILABLE' })
  const reason = new Error('Nobody waits any more')
  await t.rejects(engine.ping({ signal: AbortSignal.abort(reason) }), reason)
  const caller = new AbortController()
  proxy.onConnection(() => caller.abort(reason))
  await t.rejects(engine.ping({ signal: caller.signal }), reason)
  t.equal(engine.status().size, 0)
})

t.test('X45 X46: once closed it lends nothing, and whoever waits is told at once', async t => {
  const { engine } = openEngine(t, named(postgres.url, 'closed'), ONE)
  const holder = await engine.connect()
  const waiting = t.rejects(engine.query('select 1'), closed)
  const closing = engine.close()
  await waiting
  await t.rejects(engine.query('select 1'), closed)
  await t.rejects(engine.connect(), closed)
  await t.rejects(engine.ping(), closed)
  t.ok(await servedBy(holder), 'what is lent works on')
  holder.release()
  await closing
  t.same(await postgres.backends({ applicationName: 'closed' }), [])
  await t.rejects(requestOf(engine).query('select 1'), closed)
})

t.test(
  'close() waits for what is in use, a statement or a transaction, as long as it may',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'drains'), { close_timeout: 600 })
    const statement = engine.query("select 'done' x, pg_sleep(0.05)")
    const transaction = engine.transaction(async tx => {
      await tx.query('create table drained (id int)')
      void engine.close()
      await tx.query('insert into drained values (1)')
    })
    t.match(await statement, { rows: [{ x: 'done' }] })
    await transaction
    await Promise.all([engine.close(), engine.close()])
    t.same(await postgres.admin('select * from drained'), [{ id: 1 }])
  }
)

t.test(
  'X44: close() ends by force what is not given back in time, and nothing hangs on it',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'forced'), { close_timeout: 0.05 })
    const db = requestOf(engine)
    const statements = Promise.allSettled([
      db.query('select pg_sleep(60)'),
      db.query('select 1'),
      db.transaction(tx => tx.query('select 2'))
    ])
    const [backend] = await postgres.untilBackends({
      applicationName: 'forced',
      where: "wait_event = 'PgSleep'"
    })
    await engine.close()
    for (const { status } of await statements) t.equal(status, 'rejected')
    await postgres.terminateBackends({ pids: [backend!.pid] })
  }
)

t.test('X44: close() returns though nothing answers any more', async t => {
  const proxy = await startProxy(t, postgres)
  const { engine } = openEngine(t, proxy.url(postgres.url), { close_timeout: 0.05 })
  const connections = await Promise.all([engine.connect(), engine.connect()])
  connections[0].release()
  proxy.freeze()
  await engine.close()
  t.equal(engine.status().size, 0)
})
