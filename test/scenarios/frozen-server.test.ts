import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { addRoutes, lies, SCHEMA, startLoad } from '../fixtures/mixed-load.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const CLIENTS = 15

t.test('a server frozen under load is found out, and ridden through when it goes on', async t => {
  const postgres = await startPostgres(t)
  await postgres.admin(SCHEMA)
  const engineOptions = { half_open_timeout: 1, pool_size: CLIENTS, max_overflow: 0 }
  const app = await buildApp(t, { url: postgres.url, engineOptions }, addRoutes)
  const load = startLoad(app)
  await load.served(200)
  const processes = await postgres.admin<{ pid: number }>('select pid from pg_stat_activity')
  // The postmaster first, so that it starts nobody in the place of the others.
  const pids = [postgres.server.pid!, ...processes.map(({ pid }) => pid)]
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
