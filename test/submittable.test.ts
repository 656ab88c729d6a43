import type { Connection, Submittable } from 'pg'
import pg from 'pg'
import PgCursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import t from 'tap'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProtocolProxy } from './fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')

const disconnected = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/ }

/** The least that a cursor is: a portal read piece by piece, which keeps the session busy until it is closed. */
class Cursor implements Submittable {
  readonly text: string
  readonly errors: Error[] = []
  readonly done: Promise<void>
  rows: (string | null)[][] = []
  #connection: Connection | undefined
  #finish: () => void = () => {}
  #onPage: () => void = () => {}

  constructor(text: string) {
    this.text = text
    this.done = new Promise(resolve => {
      this.#finish = resolve
    })
  }

  submit(connection: Connection): void {
    this.#connection = connection
    connection.parse({ text: this.text, name: '', types: [] }, true)
    connection.bind({}, true)
    this.#execute(connection)
  }

  /** Resolves when so many rows more are there, or no more will come. */
  read(count: number): Promise<void> {
    return new Promise(resolve => {
      this.#onPage = resolve
      if (this.#connection && this.rows.length > 0) this.#execute(this.#connection, count)
    })
  }

  close(): void {
    this.#connection?.sync()
  }

  handleRowDescription(): void {}

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.rows.push(fields)
  }

  handlePortalSuspended(): void {
    this.#onPage()
  }

  handleCommandComplete(): void {
    this.#connection?.sync()
    this.#onPage()
  }

  handleReadyForQuery(): void {
    this.#finish()
  }

  handleError(error: Error): void {
    this.errors.push(error)
    // As pg-cursor does: what failed in the extended protocol is over with a Sync.
    this.#connection?.sync()
    this.#onPage()
    this.#finish()
  }

  #execute(connection: Connection, rows = 2): void {
    connection.execute({ portal: '', rows: String(rows) } as never, true)
    connection.flush()
  }
}

t.test('a cursor is returned at once, reads piece by piece and keeps the session busy', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const db = requestOf(engine)
  const cursor = new Cursor('select generate_series(1, 5)::text')
  const page = cursor.read(2)
  t.equal(db.query(cursor), cursor)
  await page
  t.same(cursor.rows, [['1'], ['2']])
  let isNextDone = false
  const next = servedBy(db).then(() => {
    isNextDone = true
  })
  db.release()
  await cursor.read(2)
  t.same(cursor.rows.length, 4)
  t.equal(isNextDone, false, 'what was started behind it waits')
  t.equal(engine.status().idle, 0, 'and the client is not given back')
  cursor.close()
  await Promise.all([cursor.done, next])
  await until(() => engine.status().idle === 1)
  db.end()
})

t.test('read to its end, a cursor ends by itself', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const cursor = db.query(new Cursor("select 'only'"))
  await cursor.done
  t.same(cursor.rows, [['only']])
  t.same(cursor.errors, [])
  t.ok(await servedBy(db))
  db.end()
})

t.test('a cursor that the server refuses gets its error, and the session goes on', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  const cursor = db.query(new Cursor('select * from no_such_table'))
  await cursor.done
  t.match(cursor.errors, [{ code: '42P01' }])
  t.equal(await servedBy(db), pid)
  t.equal(engine.status().generation, 0)
  db.end()
})

t.test(
  'R52: killed while it is read, a cursor gets the loss as the application is to see it',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const pid = await servedBy(db)
    const cursor = new Cursor('select generate_series(1, 20)::text')
    const page = cursor.read(2)
    db.query(cursor)
    await page
    const behind = Promise.allSettled([db.query('select 1')])
    await postgres.terminateBackends({ pids: [pid] })
    await until(() => cursor.errors.length > 0)
    t.match(cursor.errors[0], disconnected)
    await behind
    t.equal(engine.status().generation, 1)
    t.not(await servedBy(db), pid)
    db.end()
  }
)

t.test(
  'a cursor belongs to the transaction it was started in, and begins it if it is the first',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const failing = db.transaction(async tx => {
      const cursor = tx.query(new Cursor('insert into notes values (1) returning id::text'))
      await cursor.done
      t.same(cursor.rows, [['1']])
      throw new Error('no')
    })
    await t.rejects(failing, { message: 'no' })
    t.same(await postgres.admin('select * from notes'), [])
    db.end()
  }
)

t.test(
  'a lost transaction has no cursors either, and they need no server to be told so',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    await db.query('begin')
    db.invalidate()
    const { checkouts } = engine.status().counters
    t.throws(() => db.query(new Cursor('select 1')), { code: 'FST_DB_PENDING_ROLLBACK' })
    t.equal(engine.status().counters.checkouts, checkouts)
    await db.query('rollback')
    db.end()
  }
)

t.test('a cursor for which there is no client gets the error of the checkout', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0, pool_timeout: 0 })
  const holder = await engine.connect()
  const db = requestOf(engine)
  const cursor = db.query(new Cursor('select 1'))
  await cursor.done
  t.match(cursor.errors, [{ code: 'FST_DB_POOL_TIMEOUT' }])
  holder.release()
  db.end()
})

t.test('a connection that was released takes no cursor', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  db.end()
  t.throws(() => db.query(new Cursor('select 1')), { code: 'FST_DB_CONNECTION_CLOSED' })
})

t.test(
  'R20: a cursor that outlives its connection gets an error, and its slot is free',
  async t => {
    const { engine } = openEngine(t, postgres.url, {
      pool_size: 1,
      max_overflow: 0,
      close_timeout: 0.05
    })
    const db = requestOf(engine)
    const cursor = new Cursor('select generate_series(1, 20)::text')
    const page = cursor.read(2)
    db.query(cursor)
    await page
    db.end()
    await cursor.done
    t.equal(cursor.errors.length, 1)
    t.type(cursor.errors[0], Error)
    t.ok(await servedBy(engine))
    t.match(engine.status(), { size: 1, generation: 0 })
  }
)

t.test("pg's own Query is taken as pg takes it", async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const rows: unknown[] = []
  const query = db.query(new pg.Query('select generate_series(1, 3) x'))
  query.on('row', row => rows.push(row))
  await new Promise<void>(resolve => query.on('end', () => resolve()))
  t.same(rows, [{ x: 1 }, { x: 2 }, { x: 3 }])
  const failing = db.query(new pg.Query('select 1/0'))
  const error = await new Promise(resolve => failing.on('error', resolve))
  t.match(error, { code: '22012' })
  t.ok(await servedBy(db))
  db.end()
})

t.test(
  "what a library's query throws when it is sent costs the client, not the process",
  async t => {
    const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
    for (const isQueued of [false, true]) {
      const db = requestOf(engine)
      const faulty = new Cursor('select 1')
      faulty.submit = () => {
        throw new Error('a bug')
      }
      const before = isQueued ? db.query('select pg_sleep(0.01)') : db.query('select 1')
      if (!isQueued) await before
      db.query(faulty)
      await Promise.all([before, faulty.done])
      t.match(faulty.errors[0], { message: 'a bug' })
      t.ok(await servedBy(db))
      db.end()
      await until(() => engine.status().idle === 1)
    }
  }
)

t.test("pg's query_timeout does not reach back to a cursor that is through", async t => {
  const { engine } = openEngine(t, postgres.url, { connect_args: { query_timeout: 1000 } })
  const db = requestOf(engine)
  const pid = await servedBy(db)
  const cursor = db.query(new Cursor('select 1::text'))
  await cursor.done
  const later = performance.now() + 1200
  while (performance.now() < later) await db.query('select 1')
  t.same(cursor.errors, [])
  t.equal(await servedBy(db), pid)
  db.end()
})

t.test(
  'R26: closing a cursor whose session was lost harms nobody: the loss was told where it reads',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const pid = await servedBy(db)
    const cursor = db.query(new PgCursor('select generate_series(1, 20) id'))
    t.same(await cursor.read(1), [{ id: 1 }])
    await postgres.terminateBackends({ pids: [pid] })
    await until(() => engine.status().generation === 1)
    await t.rejects(cursor.read(1), disconnected)
    await cursor.close()
    t.not(await servedBy(db), pid)
    db.end()
    t.match(engine.status(), { size: 1, idle: 1, generation: 1 })
  }
)

t.test('an engine by itself has no connection for a cursor to stay on', async t => {
  const { engine } = openEngine(t, postgres.url)
  const cursor = new PgCursor('select 1') as never
  await t.rejects(engine.query(cursor), { name: 'TypeError', message: /app\.db\.connect\(\)/ })
  t.equal(engine.status().counters.checkouts, 0)
})

t.test('whoever waits for the last rows is told when the session is lost behind them', async t => {
  const protocol = await startProtocolProxy(t, postgres)
  const { engine } = openEngine(t, protocol.proxy.url(postgres.url))
  const db = requestOf(engine)
  const cutBehindRows = async () => {
    const conversation = protocol.of(await servedBy(db))
    const isEnd = ({ name }: { name: string }) => name === 'CommandComplete'
    conversation.cutAt({ way: 'toClient', side: 'after', message: isEnd }, 'fin')
  }
  const text = 'select generate_series(1, 3)'
  await cutBehindRows()
  await t.rejects(db.query(new PgCursor(text)).read(10), disconnected)
  await cutBehindRows()
  await t.rejects(db.query(new QueryStream(text)).toArray(), disconnected)
  t.match((await db.query(new PgCursor(text)).read(10)).length, 3, 'the next one works')
  db.end()
})
