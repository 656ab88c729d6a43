import t from 'tap'
import { buildApp, named, servedBy } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

const SLEEPING = { where: "query = 'select pg_sleep(60)' and state = 'active'" }

t.test('R47: a backend killed in use costs its request a 503, the next one works', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'one') })
  const running = app.inject('/sleep')
  await postgres.untilBackends(SLEEPING)
  await postgres.terminateBackends(SLEEPING)
  const response = await running
  t.equal(response.statusCode, 503)
  t.equal(response.json().code, 'FST_DB_DISCONNECTED')
  t.equal(response.headers['retry-after'], '1', 'told to go before it was complete: not committed')
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal((await app.inject('/pid')).statusCode, 200)
})

t.test('X03 R37 X38: five killed at once are five 503, and one new generation', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'five') })
  const running = Promise.all(Array.from({ length: 5 }, () => app.inject('/sleep')))
  await postgres.untilBackends(SLEEPING, 5)
  await postgres.terminateBackends(SLEEPING)
  t.same(
    (await running).map(({ statusCode }) => statusCode),
    [503, 503, 503, 503, 503]
  )
  t.equal(app.db.status().generation, 1)
  const next = await Promise.all(Array.from({ length: 5 }, () => app.inject('/pid')))
  t.same(
    next.map(({ statusCode }) => statusCode),
    [200, 200, 200, 200, 200]
  )
})

t.test('X39: the late failure of an old client does not cost the new ones', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'late') })
  const late = app.inject('/sleep')
  const [sleeper] = await postgres.untilBackends(SLEEPING)
  app.db.invalidate()
  const survivor = await servedBy(app)
  await postgres.terminateBackends({ pids: [sleeper?.pid ?? 0] })
  t.equal((await late).statusCode, 503)
  t.equal(app.db.status().generation, 1)
  t.equal(await servedBy(app), survivor)
})

t.test('X09: killed after the last statement, the reply stays what it was', async t => {
  // Verified however recently it was heard from: the next request may come before the socket says anything.
  const engineOptions = { pool_pre_ping_window: 0 }
  const app = await buildApp(t, { url: named(postgres.url, 'after'), engineOptions }, app => {
    app.get('/', async request => {
      const { rows } = await request.db.query<{ pid: number }>('select pg_backend_pid() pid')
      await postgres.terminateBackends({ pids: rows.map(({ pid }) => pid) })
      return { done: true }
    })
  })
  for (let request = 0; request < 3; request += 1) {
    const response = await app.inject('/')
    t.same([response.statusCode, response.json()], [200, { done: true }])
  }
  t.equal(app.db.status().checkedOut, 0)
})

t.test('R23 R24 X19 X31: a statement that is cancelled costs no client', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'cancel') })
  const before = await servedBy(app)
  const running = app.inject('/sleep')
  const [sleeper] = await postgres.untilBackends(SLEEPING)
  await postgres.admin('select pg_cancel_backend($1)', [sleeper?.pid])
  t.equal((await running).statusCode, 500)
  t.equal(await servedBy(app), before)
  t.equal(app.db.status().generation, 0)
})
