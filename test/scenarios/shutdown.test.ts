import { Agent } from 'node:http'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { ask, listen } from '../fixtures/http-client.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('A06: app.close() leaves no session behind', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'closed') })
  await Promise.all(Array.from({ length: 5 }, () => app.inject('/pid')))
  await app.close()
  t.equal(app.db.status().size, 0)
  await postgres.admin('select pg_stat_clear_snapshot()')
  t.same(await postgres.backends({ applicationName: 'closed', where: "state <> 'idle'" }), [])
})

t.test('X44 X46: it waits for what is in use, and refuses what waits', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'in_use'),
    engineOptions: { pool_size: 1, max_overflow: 0 }
  })
  const held = await app.db.connect()
  const waiting = app.db.connect()
  const refused = t.rejects(waiting, { code: 'FST_DB_ENGINE_CLOSED', statusCode: 503 })
  const closing = app.close()
  await refused
  const { rows } = await held.query('select 1 one')
  t.same(rows, [{ one: 1 }], 'what is in use works on')
  held.release()
  await closing
  t.equal(app.db.status().size, 0)
})

t.test('X45: afterwards a checkout is refused', async t => {
  const app = await buildApp(t, { url: postgres.url })
  await app.close()
  await t.rejects(app.db.query('select 1'), { code: 'FST_DB_ENGINE_CLOSED' })
})

t.test('a connection that never comes back is closed after close_timeout', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'never'),
    engineOptions: { close_timeout: 0.05 }
  })
  const held = await app.db.connect()
  const running = t.rejects(held.query('select pg_sleep(60)'), { code: 'FST_DB_OUTCOME_UNKNOWN' })
  await postgres.untilBackends({ applicationName: 'never', where: "state = 'active'" })
  await app.close()
  await running
  t.equal(app.db.status().size, 0)
})

t.test('under load every request is answered, with a 200 or a coded 503', async t => {
  const app = await buildApp(t, { url: postgres.url })
  const answers: string[] = []
  const load = Array.from({ length: 50 }, async () => {
    const response = await app.inject('/twice').catch(() => undefined)
    // Fastify itself refuses what comes after close(), with a 503 of its own.
    if (response) answers.push(`${response.statusCode} ${response.json().code ?? response.body}`)
  })
  await new Promise<void>(resolve => {
    const look = () => (app.db.status().checkedOut > 0 ? resolve() : setImmediate(look))
    look()
  })
  await app.close()
  await Promise.all(load)
  for (const answer of answers) t.match(answer, /^(200 |503 FST_|503 .*Service Unavailable)/)
  t.equal(app.db.status().size, 0)
})

const ONE = { pool_size: 1, max_overflow: 0 }

/** One request has the only connection, and another waits for it. */
function isFull(app: FastifyInstance): boolean {
  const { checkedOut, waiting } = app.db.status()
  return checkedOut === 1 && waiting === 1
}

t.test('requests under way are served, waiting ones too, and their sockets let go of', async t => {
  await postgres.admin('create table gate (id int)')
  await postgres.admin('begin; lock table gate')
  t.teardown(() => postgres.admin('rollback'))
  const app = await buildApp(
    t,
    { url: named(postgres.url, 'under_way'), engineOptions: ONE },
    app => {
      app.get('/', async request => (await request.db.query('select * from gate')).rows)
    }
  )
  const port = await listen(app)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const answers = [1, 2].map(() => ask(port, '/', { method: 'GET', agent }))
  await until(() => isFull(app))
  const closing = app.close()
  await until(() => !app.server.listening)
  await postgres.admin('rollback')
  for (const { statusCode, headers } of await Promise.all(answers)) {
    t.equal(statusCode, 200)
    t.equal(headers.connection, 'close')
  }
  await closing
  t.equal(app.db.status().size, 0)
})

t.test('a statement that does not end keeps app.close() no longer than close_timeout', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'endless'),
    engineOptions: { ...ONE, close_timeout: 0.05 }
  })
  const port = await listen(app)
  const running = ask(port, '/sleep', { method: 'GET' })
  await postgres.untilBackends({ applicationName: 'endless', where: "state = 'active'" })
  const waiting = ask(port, '/pid', { method: 'GET' })
  await until(() => isFull(app))
  await app.close()
  const codes = [await running, await waiting].map(({ statusCode, body }) => [
    statusCode,
    JSON.parse(body).code
  ])
  t.same(codes, [
    [503, 'FST_DB_OUTCOME_UNKNOWN'],
    [503, 'FST_DB_ENGINE_CLOSED']
  ])
  t.equal(app.db.status().size, 0)
})
