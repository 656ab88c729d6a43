import { once } from 'node:events'
import pg from 'pg'
import Cursor from 'pg-cursor'
import t from 'tap'
import { openEngine, until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
const ONE = { pool_size: 1, max_overflow: 0 }
const PID = 'select pg_backend_pid() pid'

t.test('it is a pg.Pool, always the same, and says nothing of where it leads', async t => {
  const { engine } = openEngine(t, postgres.url)
  t.ok(engine.pool instanceof pg.Pool)
  t.equal(engine.pool, engine.pool)
  t.equal(engine.pool.options.max, 15)
  t.match(engine.pool, { ending: false, ended: false, expiredCount: 0 })
})

t.test('query in every form', async t => {
  const { pool } = openEngine(t, postgres.url, ONE).engine
  const rows = [{ x: 1 }]
  const text = 'select $1::int x'
  t.match(await pool.query('select 1 x'), { rows })
  t.match(await pool.query(text, [1]), { rows, command: 'SELECT', rowCount: 1 })
  t.match(await pool.query({ text, values: [1], name: 'named' }), { rows })
  t.match(await pool.query({ text, rowMode: 'array' }, [1]), { rows: [[1]] })
  const answers = await Promise.all([
    told(done => pool.query('select 1 x', done)),
    told(done => pool.query(text, [1], done)),
    told(done => pool.query({ text, values: [1] }, done)),
    told(done => pool.query({ text, values: [1], callback: done } as never))
  ])
  for (const answer of answers) t.match(answer, [undefined, { rows }])
  t.match(await told(done => pool.query('select 1/0', done)), [{ code: '22012' }])
  t.match(await told(done => pool.query(done as never)), [{ message: /function as the first/ }])
  await t.rejects(pool.query(null as never), TypeError)
  t.match(pool, { totalCount: 1, idleCount: 1, waitingCount: 0 })
})

t.test('a query of a library goes on one client, which comes back behind it', async t => {
  const { pool } = openEngine(t, postgres.url, ONE).engine
  const query = new pg.Query('select 1 x')
  t.equal(pool.query(query), query)
  t.match(await once(query, 'end'), [{ rows: [{ x: 1 }] }])
  t.match(await told(done => pool.query(new pg.Query('select 1 x') as never, done)), [null])
  const cursor = pool.query(new Cursor('select * from generate_series(1, 3)'))
  t.equal((await cursor.read(2)).length, 2)
  t.equal(pool.idleCount, 0)
  await cursor.close()
  await until(() => pool.idleCount === 1)
})

t.test('connect in both forms lends a client until it is released, once', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const { pool } = engine
  const first = await pool.connect()
  t.ok(first instanceof pg.Client)
  t.match(await first.query('select $1::int x', [1]), { rows: [{ x: 1 }] })
  t.match(await told(done => first.query('select 2 x', done)), [undefined, { rows: [{ x: 2 }] }])
  t.equal(first.escapeIdentifier('a"b'), '"a""b"')
  t.equal(first.getTransactionStatus(), 'I')
  const second = new Promise<[pg.PoolClient, (error?: Error) => void]>((resolve, reject) => {
    pool.connect((error, client, done) => (client ? resolve([client, done]) : reject(error)))
  })
  await until(() => pool.waitingCount === 1)
  first.release()
  const [client, done] = await second
  t.throws(() => first.release(), /already been released/)
  await t.rejects(first.query('select 1'), { code: 'FST_DB_CONNECTION_CLOSED' })
  t.equal(client.listenerCount('error'), 1, "our own, so that a lost client is nobody's exception")
  client.on('notification', () => {})
  t.equal(client.listenerCount('notification'), 1)
  done()
  t.match(engine.status(), { size: 1, idle: 1, counters: { checkouts: 2 } })
})

t.test('what is released with an error, or ended, is replaced', async t => {
  const { pool } = openEngine(t, postgres.url, ONE).engine
  const ends: ((client: pg.PoolClient) => unknown)[] = [
    client => client.release(true),
    client => client.release(new Error('not fit')),
    client => client.end().then(() => client.release()),
    client => told(done => client.end(done as () => void)).then(() => client.release())
  ]
  for (const end of ends) {
    const client = await pool.connect()
    const { rows } = await client.query(PID)
    await end(client)
    t.not((await pool.query(PID)).rows[0].pid, rows[0].pid)
  }
})

t.test('a client released in a transaction is reset before anybody gets it', async t => {
  const { pool } = openEngine(t, postgres.url, ONE).engine
  const client = await pool.connect()
  await client.query('begin')
  client.release()
  t.match(await pool.query('select pg_current_xact_id_if_assigned() xid, now() at'), {
    rowCount: 1
  })
  const next = await pool.connect()
  t.equal(next.getTransactionStatus(), 'I')
  next.release()
})

t.test('a lost client costs its query a coded error, and nobody the process', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const { pool } = engine
  const client = await pool.connect()
  const pid = Number(Reflect.get(client, 'processID'))
  await client.query('begin')
  await postgres.terminateBackends({ pids: [pid] })
  await t.rejects(client.query('select 1'), { code: 'FST_DB_DISCONNECTED', statusCode: 503 })
  await t.rejects(client.query('select 1'), { code: 'FST_DB_PENDING_ROLLBACK' })
  await client.query('rollback')
  client.release()
  t.equal(engine.status().generation, 1)
  t.not((await pool.query(PID)).rows[0].pid, pid)
})

t.test('no connection: connect and query say so in both forms, coded', async t => {
  const { pool } = openEngine(t, 'postgres://127.0.0.1:1/nobody').engine
  const unavailable = { code: 'FST_DB_UNAVAILABLE', statusCode: 503 }
  await t.rejects(pool.connect(), unavailable)
  await t.rejects(pool.query('select 1'), unavailable)
  t.match(await told(done => pool.query('select 1', done)), [unavailable])
  t.match(await told(done => pool.connect(done as never)), [unavailable, undefined])
  const query = pool.query(new pg.Query('select 1'))
  t.match(await once(query, 'error').catch(error => [error]), [unavailable])
})

t.test('events: clients come and go, loans begin and end', async t => {
  const { pool } = openEngine(t, postgres.url, ONE).engine
  const seen: string[] = []
  for (const name of ['connect', 'acquire', 'release', 'remove', 'error'] as const) {
    pool.on(name, () => seen.push(name))
  }
  const client = await pool.connect()
  const { rows } = await client.query(PID)
  client.release()
  t.same(seen.splice(0), ['connect', 'acquire', 'release'])
  await postgres.terminateBackends({ pids: [rows[0].pid] })
  await until(() => pool.totalCount === 0)
  t.same(seen.splice(0), ['remove', 'error'])
  pool.removeAllListeners('error')
  const other = (await pool.query(PID)).rows[0].pid
  await postgres.terminateBackends({ pids: [other] })
  await until(() => pool.totalCount === 0)
  t.same(seen, ['connect', 'remove'], 'without a listener `error` is kept back')
})

t.test('end() waits for its own loans, refuses more, and leaves the engine open', async t => {
  const { engine } = openEngine(t, postgres.url)
  const { pool } = engine
  const client = await pool.connect()
  const ended = pool.end()
  t.match(pool, { ending: true, ended: false })
  await t.rejects(pool.connect(), /after calling end/)
  await t.rejects(pool.query('select 1'), /after calling end/)
  await t.rejects(pool.end(), /more than once/)
  t.match(await told(done => pool.end(done as () => void)), [{ message: /more than once/ }])
  await client.query('select 1')
  client.release()
  await ended
  t.equal(pool.ended, true)
  t.match(await engine.query('select 1 x'), { rows: [{ x: 1 }] })
})

t.test('what a callback throws is an exception, as with pg', async t => {
  const { pool } = openEngine(t, postgres.url).engine
  const thrown = new Error('thrown by a callback')
  const caught = new Promise(resolve => process.once('uncaughtException', resolve))
  void pool.query('select 1', () => {
    throw thrown
  })
  t.equal(await caught, thrown)
})

/** What a callback is called with. */
function told(start: (done: (...given: unknown[]) => void) => unknown): Promise<unknown[]> {
  return new Promise(resolve => {
    start((...given) => resolve(given))
  })
}
