import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { addRoutes, lies, SCHEMA, startLoad } from '../fixtures/mixed-load.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres, type TestPostgres } from '../fixtures/postgres.js'

const CLIENTS = 15

/** The postmaster first, so that it starts nobody in the place of the others. */
async function processesOf(postgres: TestPostgres): Promise<number[]> {
  const rows = await postgres.admin<{ pid: number }>('select pid from pg_stat_activity')
  return [postgres.server.pid!, ...rows.map(({ pid }) => pid)]
}

t.test('a server frozen under load is found out, and ridden through when it goes on', async t => {
  const postgres = await startPostgres(t)
  await postgres.admin(SCHEMA)
  const engineOptions = { half_open_timeout: 1, pool_size: CLIENTS, max_overflow: 0 }
  const app = await buildApp(t, { url: postgres.url, engineOptions }, addRoutes)
  const load = startLoad(app)
  await load.served(200)
  const pids = await processesOf(postgres)
  const isFoundOut = new Promise(resolve => app.db.on('generation', resolve))
  for (const pid of pids) postgres.freeze(pid)
  await isFoundOut
  t.equal(app.db.status().generation, 1)
  for (const pid of pids.toReversed()) postgres.thaw(pid)
  await load.served(200)
  await until(() => app.db.status().size === CLIENTS)
  await load.stop()

  const failed = load.answers.filter(({ status }) => status !== 200)
  t.comment(`${load.answers.length} requests; failed: ${JSON.stringify(failed)}`)
  const seen = failed.filter(({ kind, code }) => {
    return kind !== 'insert' || code !== 'FST_DB_OUTCOME_UNKNOWN'
  })
  t.same(seen, [], 'only of single writes that were under way nobody knows')
  t.same(await lies(postgres, load.answers), [])
  t.match(app.db.status(), { state: 'up', waiting: 0, checkedOut: 0, generation: 1 })
})

t.test('on a frozen server a deadline is kept, by what runs, waits or connects', async t => {
  const postgres = await startPostgres(t)
  await postgres.admin(SCHEMA)
  // Nothing else may end what waits here.
  const engineOptions = { half_open_timeout: 0, pool_size: 2, max_overflow: 0, connect_timeout: 60 }
  const config = { db: { timeout: 1 } }
  const app = await buildApp(t, { url: postgres.url, engineOptions }, app => {
    app.get('/read', { config }, async ({ db }) => (await db.query('select 1 one')).rows)
    app.post<{ Querystring: { id: string } }>('/insert', { config }, async ({ db, query }) => {
      await db.query('insert into entries values ($1)', [query.id])
      return {}
    })
  })
  const ask = async (id: number) => {
    const kind = id % 2 === 0 ? 'read' : 'insert'
    const method = kind === 'read' ? 'GET' : 'POST'
    const response = await app.inject({ method, url: `/${kind}?id=${id}` })
    const { code } = response.json()
    const mayRepeat = response.headers['retry-after'] !== undefined
    return { kind, id, status: response.statusCode, code, mayRepeat } as const
  }
  await Promise.all([ask(0), ask(0)])
  await until(() => app.db.status().idle === 2)
  const pids = await processesOf(postgres)
  for (const pid of pids) postgres.freeze(pid)
  const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(ask))
  t.comment(answers.map(({ kind, code }) => `${kind} ${code}`).join(', '))
  for (const { code, status } of answers)
    t.match({ code, status }, { code: /^FST_DB_/, status: 503 })
  for (const pid of pids.toReversed()) postgres.thaw(pid)
  while ((await ask(0)).status !== 200);
  await until(() => app.db.status().checkedOut === 0)
  t.same(await lies(postgres, answers), [])
})
