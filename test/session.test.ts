import t from 'tap'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')

const ONE = { pool_size: 1, max_overflow: 0 }
const closed = { code: 'FST_DB_CONNECTION_CLOSED' }

t.test('X47 T17: a connection that is not used takes no client', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  t.match(db, { invalidated: false, inTransaction: false })
  db.release()
  db.end()
  t.match(engine.status(), { size: 0, counters: { checkouts: 0, connects: 0 } })
})

t.test(
  'X48: statements started together, with the first use, share one client and keep their order',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const order: number[] = []
    const numbers = Array.from({ length: 20 }, (_, i) => i)
    const results = await Promise.all(
      numbers.map(async n => {
        const { rows } = await db.query<{ pid: number }>(
          'select pg_backend_pid() pid where $1 >= 0',
          [n]
        )
        order.push(n)
        return rows[0]?.pid
      })
    )
    t.same(order, numbers)
    t.equal(new Set(results).size, 1)
    t.match(engine.status(), { size: 1, counters: { checkouts: 1 } })
    db.end()
  }
)

t.test('a connection given back early takes another client, until it is ended', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const db = requestOf(engine)
  await servedBy(db)
  db.release()
  db.release()
  t.equal(engine.status().idle, 1)
  await servedBy(db)
  t.equal(engine.status().checkedOut, 1)
  db.end()
  db.end()
  t.equal(engine.status().idle, 1)
  await t.rejects(db.query('select 1'), closed)
})

t.test(
  'P04 A12 X60: a connection of app.db.connect() ends with its release; await using does that',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const connection = await engine.connect()
    connection.release()
    connection.release()
    await t.rejects(connection.query('select 1'), closed)
    const inBlock = async () => {
      await using connection = await engine.connect()
      await servedBy(connection)
      return connection
    }
    await t.rejects((await inBlock()).query('select 1'), closed)
    t.match(engine.status(), { size: 1, idle: 1 })
  }
)

t.test('released while it is busy, a connection is given back when the work is done', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  for (const isRequest of [true, false]) {
    const db = isRequest ? requestOf(engine) : await engine.connect()
    const first = db.query("select 'first' x, pg_sleep(0.05)")
    const second = db.query('select 2 x')
    await postgres.untilBackends({ where: "query like '%first%' and state = 'active'" })
    db.release()
    t.equal(engine.status().checkedOut, 1)
    const waiting = engine.connect()
    t.match(await Promise.all([first, second]), [{ rows: [{ x: 'first' }] }, { rows: [{ x: 2 }] }])
    const next = await waiting
    t.equal(engine.status().checkedOut, 1)
    next.release()
    db.end()
  }
})

t.test('a statement started after a release that has to wait keeps the client', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const db = requestOf(engine)
  const busy = db.query('select pg_sleep(0.02), pg_backend_pid() pid')
  await until(() => engine.status().checkedOut === 1)
  db.release()
  const next = db.query('select pg_backend_pid() pid')
  const [{ rows: a }, { rows: b }] = await Promise.all([busy, next])
  t.equal(a[0]?.pid, b[0]?.pid)
  t.equal(engine.status().counters.checkouts, 1)
  db.end()
})

t.test(
  'ended while a statement runs, a connection lets it finish, and starts nothing more',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const db = requestOf(engine)
    const running = db.query("select 'running' x, pg_sleep(0.05)")
    await postgres.untilBackends({ where: "query like '%running%' and state = 'active'" })
    db.end()
    await t.rejects(db.query('select 1'), closed)
    t.match(await running, { rows: [{ x: 'running' }] })
    await until(() => engine.status().idle === 1)
  }
)

t.test('A18: what runs on and on after the end costs the client, and the slot is free', async t => {
  const { engine } = openEngine(t, postgres.url, { ...ONE, close_timeout: 0.05 })
  const db = requestOf(engine)
  const reasons: string[] = []
  engine.on('close', ({ reason }) => reasons.push(reason))
  const statements = Promise.allSettled([
    db.query("select 'on and on', pg_sleep(60)"),
    db.query('select 1')
  ])
  await postgres.untilBackends({ where: "query like '%on and on%' and state = 'active'" })
  db.end()
  const next = await engine.connect()
  t.same(
    (await statements).map(({ status }) => status),
    ['rejected', 'rejected']
  )
  t.same(reasons, ['error'])
  next.release()
  await postgres.terminateBackends({ where: "query like '%on and on%'" })
})

t.test(
  'X18 X46: ended while it waits for a client, a connection leaves the queue at once',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const holder = await engine.connect()
    const db = requestOf(engine)
    const waiting = [
      db.query('select 1'),
      db.query('select 2'),
      db.transaction(tx => tx.query('select 3'))
    ]
    const settled = Promise.allSettled(waiting)
    t.equal(engine.status().waiting, 1, 'together they wait once')
    db.end()
    t.match(
      (await settled).map(one => one.status === 'rejected' && one.reason),
      [closed, closed, closed]
    )
    t.equal(engine.status().waiting, 0)
    holder.release()
    t.match(engine.status(), { size: 1, idle: 1 })
  }
)

t.test('X18: no slot is lost when the end and the hand-over coincide, in either order', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  for (const isReleasedFirst of [true, false]) {
    const holder = await engine.connect()
    const db = requestOf(engine)
    const statements = Promise.allSettled([db.query('select 1'), db.query('select 2')])
    if (isReleasedFirst) holder.release()
    db.end()
    if (!isReleasedFirst) holder.release()
    await statements
    await until(() => engine.status().idle === 1)
    t.equal((await engine.query('select 1 x')).rowCount, 1)
  }
})

t.test('X09: killed after its last statement, a client is dropped in silence', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  const ended = new Promise<void>(resolve => db.held?.once('end', resolve))
  await postgres.terminateBackends({ pids: [pid] })
  // The server has closed its socket; whether ours has heard of it is another matter.
  await ended
  db.release()
  t.not(await servedBy(db), pid)
  db.end()
})

t.test('X11 R18: a reset that fails costs the client, and nobody else hears of it', async t => {
  const { engine } = openEngine(t, postgres.url, { ...ONE, pool_pre_ping: false })
  const db = requestOf(engine)
  await db.query('begin')
  const pid = await servedBy(db)
  const lost = new Promise(resolve => engine.on('close', resolve))
  postgres.freeze(pid)
  db.release()
  await postgres.admin('select pg_terminate_backend($1)', [pid])
  postgres.thaw(pid)
  t.match(await lost, { reason: 'reset', error: { code: '57P01' } })
  t.not(await servedBy(db), pid)
  t.equal(engine.status().generation, 0)
  db.end()
})

t.test(
  'T14 T16 T23 T27 T34 X52: what was left open is rolled back, once, and its locks are free',
  async t => {
    const proxy = await startProxy(t, postgres)
    const statements = recordStatements(proxy)
    const { engine } = openEngine(t, proxy.url(postgres.url), ONE)
    const db = requestOf(engine)
    await db.query('begin')
    await db.query('insert into notes values (1)')
    await db.query('savepoint a')
    db.end()
    const next = await engine.connect()
    t.equal(statements.filter(text => /rollback/i.test(text)).length, 1)
    t.equal((await next.query('select * from notes')).rowCount, 0)
    await next.query("set lock_timeout = '1s'")
    await next.query('truncate notes')
    next.release()
  }
)

t.test('T25 X55: under discard nothing that one request sets is seen by the next', async t => {
  const { engine } = openEngine(t, postgres.url, { ...ONE, pool_reset_on_return: 'discard' })
  const db = requestOf(engine)
  const pid = await servedBy(db)
  await db.query("set work_mem = '1234kB'")
  await db.query('set session characteristics as transaction isolation level serializable')
  db.end()
  const next = requestOf(engine)
  t.equal(await servedBy(next), pid)
  t.match((await next.query('show work_mem')).rows, [{ work_mem: '4MB' }])
  t.match((await next.query('show transaction_isolation')).rows, [
    { transaction_isolation: 'read committed' }
  ])
  next.end()
})

t.test('no statement overtakes one that was started before it, however little before', async t => {
  const { engine } = openEngine(t, postgres.url)
  await engine.query('create sequence turns')
  for (let turns = 0; turns < 20; turns += 1) {
    for (const isRequest of [true, false]) {
      const db = isRequest ? requestOf(engine) : await engine.connect()
      const first = db.query<{ turn: number }>("select nextval('turns')::int turn")
      for (let turn = 0; turn < turns; turn += 1) await null
      const second = db.query<{ turn: number }>("select nextval('turns')::int turn")
      const [a, b] = await Promise.all([first, second])
      if (a.rows[0]!.turn > b.rows[0]!.turn) t.fail(`overtaken after ${turns} turns`)
      db.end()
    }
  }
})

for (const followers of [1, 2]) {
  t.test(
    `who leaves while a client is being verified costs ${followers} behind it no client`,
    async t => {
      const { engine } = openEngine(t, postgres.url, { pool_size: 4, pool_pre_ping_window: 0 })
      const taken = await Promise.all([1, 2, 3, 4].map(() => engine.connect()))
      for (const connection of taken) connection.release()
      await until(() => engine.status().idle === 4)
      const db = requestOf(engine)
      const leaving = new AbortController()
      const left = db.query({ text: 'select pg_backend_pid()', signal: leaving.signal })
      const settled = t.rejects(left, { message: 'left' })
      leaving.abort(new Error('left'))
      const behind = Array.from({ length: followers }, () => db.query('select 1'))
      await Promise.all([settled, ...behind])
      db.end()
      await until(() => engine.status().checkedOut === 0)
      t.equal(engine.status().idle, 4)
    }
  )
}
