import t from 'tap'
import { named } from './fixtures/app.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)

const unavailable = { code: 'FST_DB_UNAVAILABLE', statusCode: 503 }
/** Which of them is told depends on what is known of the effects of all that went before. */
const disconnected = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/ }
const pending = { code: 'FST_DB_PENDING_ROLLBACK' }

t.test(
  'E26 E27 E30: a connection that cannot reconnect stays invalidated, and can be tried again',
  async t => {
    const proxy = await startProxy(t, postgres)
    const { engine } = openEngine(t, proxy.url(postgres.url), {
      pool_size: 2,
      max_overflow: 0,
      recovery_timeout: 0
    })
    const db = requestOf(engine)
    await servedBy(db)
    proxy.refuse()
    proxy.cut('rst')
    await t.rejects(db.query('select 1'), disconnected)
    for (let round = 0; round < 100; round += 1) {
      const all = await Promise.allSettled([db.query('select 1'), db.query('select 2')])
      for (const one of all) {
        if (one.status === 'fulfilled' || one.reason.code !== unavailable.code)
          t.fail('not refused')
      }
      if (!db.invalidated) t.fail('it has no client')
    }
    t.match(engine.status(), { size: 0, connecting: 0, waiting: 0, checkedOut: 0, state: 'down' })
    await proxy.accept()
    await until(() => engine.status().state === 'up')
    t.ok(await servedBy(db))
    t.equal(db.invalidated, false)
    const other = await engine.connect()
    t.match(engine.status(), { size: 2, checkedOut: 2, state: 'up' })
    other.release()
    db.end()
  }
)

t.test(
  'a transaction that was lost needs no server to be rolled back, nor to be refused',
  async t => {
    const proxy = await startProxy(t, postgres)
    const { engine } = openEngine(t, proxy.url(postgres.url))
    const db = requestOf(engine)
    await db.query('begin')
    proxy.refuse()
    proxy.cut('fin')
    await t.rejects(db.query('select 1'), disconnected)
    await t.rejects(db.query('commit'), pending)
    const { connects } = engine.status().counters
    await t.rejects(db.client(), pending)
    await db.query('rollback')
    t.equal(engine.status().counters.connects, connects)
    await t.rejects(db.query('select 1'), unavailable)
    await proxy.accept()
    t.ok(await servedBy(db))
    db.end()
  }
)

t.test(
  'X51: whoever swallows the loss of a transaction is told of it at COMMIT, not of the server',
  async t => {
    const proxy = await startProxy(t, postgres)
    const { engine } = openEngine(t, proxy.url(postgres.url))
    const db = requestOf(engine)
    const lost = db.transaction(async tx => {
      await tx.query('select 1')
      proxy.refuse()
      proxy.cut('fin')
      await t.rejects(tx.query('select 2'), disconnected)
      await t.rejects(tx.query('select 3'), pending)
      await t.rejects(
        tx.transaction(async () => t.fail('there is no savepoint')),
        pending
      )
      return 'as if nothing had happened'
    })
    await t.rejects(lost, pending)
    await proxy.accept()
    t.ok(await servedBy(db))
    db.end()
  }
)

t.test(
  'invalidate() while statements run: all of them settle, and the connection goes on',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'by_hand'))
    const db = requestOf(engine)
    const statements = Promise.allSettled([
      db.query('select pg_sleep(60)'),
      db.query('select 1'),
      db.query('select $1::int', [1])
    ])
    const [backend] = await postgres.untilBackends({
      applicationName: 'by_hand',
      where: "wait_event = 'PgSleep'"
    })
    db.invalidate()
    const outcomes = await statements
    t.same(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected']
    )
    t.ok(await servedBy(db))
    t.match(engine.status(), { generation: 0, size: 1 })
    db.end()
    await postgres.terminateBackends({ pids: [backend!.pid] })
  }
)

t.test(
  'killed with statements under way and others behind: none hangs, the next one works',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'busy'), { pool_size: 4 })
    for (let round = 0; round < 10; round += 1) {
      const connections = Array.from({ length: 4 }, () => requestOf(engine))
      const running = Promise.all(
        connections.map(db =>
          Promise.allSettled([
            db.query('select pg_sleep(60)'),
            db.query('select 1'),
            db.transaction(tx => tx.query('select 2')),
            db.query('select 3')
          ])
        )
      )
      await postgres.untilBackends({ applicationName: 'busy', where: "wait_event = 'PgSleep'" }, 4)
      await postgres.terminateBackends({ applicationName: 'busy' })
      for (const outcomes of await running) {
        if (outcomes[0].status === 'fulfilled') t.fail('it slept through')
      }
      await Promise.all(connections.map(servedBy))
      for (const db of connections) db.end()
      await until(() => engine.status().checkedOut === 0)
    }
    t.equal(engine.status().generation, 10)
  }
)

t.test('R06 R07: lent without a ping, a dead client is known by its first statement', async t => {
  const { engine } = openEngine(t, postgres.url, {
    pool_size: 1,
    max_overflow: 0,
    pool_pre_ping: false
  })
  const pid = await servedBy(engine)
  // Its last words are on their way, and cannot have been heard.
  postgres.freeze(pid)
  await postgres.admin('select pg_terminate_backend($1)', [pid])
  const db = await engine.connect()
  t.equal(engine.status().counters.connects, 1, 'it is lent')
  const statement = t.rejects(db.query('create table never (id int)'), disconnected)
  postgres.thaw(pid)
  await statement
  t.not(await servedBy(db), pid)
  t.equal(engine.status().counters.pings, 0)
  db.release()
})

t.test(
  'R35 R36: there is nothing to detach where the client is lost, or was given back',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    await servedBy(db)
    db.invalidate()
    await t.rejects(db.detach(), { code: 'FST_DB_TRANSACTION_STATE' })
    db.end()
    await t.rejects(db.detach(), { code: 'FST_DB_CONNECTION_CLOSED' })
  }
)

t.test(
  'X15: a detached client leaves its place to another, and is closed when given back',
  async t => {
    const url = named(postgres.url, 'detached')
    const { engine } = openEngine(t, url, { pool_size: 1, max_overflow: 0 })
    const db = requestOf(engine)
    const pid = await servedBy(db)
    await db.detach()
    await db.detach()
    t.equal(engine.status().size, 0)
    const other = await engine.connect()
    t.equal(await servedBy(db), pid)
    db.release()
    other.release()
    while ((await postgres.backends({ pids: [pid] })).length > 0);
    t.match(engine.status(), { size: 1, idle: 1 })
  }
)

t.test('X15: a detached client that is lost is given up like any other', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const db = requestOf(engine)
  await db.query('begin')
  const pid = await servedBy(db)
  await db.detach()
  await postgres.terminateBackends({ pids: [pid] })
  await t.rejects(db.query('select 1'), disconnected)
  await t.rejects(db.query('select 1'), pending)
  await db.query('rollback')
  t.not(await servedBy(db), pid)
  db.end()
  t.match(engine.status(), { size: 1, idle: 1 })
})
