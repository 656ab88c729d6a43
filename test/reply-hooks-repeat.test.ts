import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import dbPlugin, { toProblem } from 'fastify-pg-engine'
import t, { type Test } from 'tap'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

declare module 'fastify-pg-engine' {
  interface Databases {
    reports: true
  }
}

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int)')
await postgres.admin('create table locked (id int)')
await postgres.admin(`create function collide() returns int language plpgsql as
  $$ begin raise exception using errcode = '40001'; return 1; end $$`)
t.beforeEach(() => postgres.admin('truncate entries'))

const COLLIDE = 'select collide()'
const INSERT = 'insert into entries values (1)'
const rows = async () => (await postgres.admin('select from entries')).length

type Handler = (request: FastifyRequest, app: FastifyInstance) => Promise<unknown>

/** Two names for one database, so that one of them can fail while the other works. */
async function serve(t: Test, handler: Handler, options: { problemJson?: boolean } = {}) {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbPlugin, { url: postgres.url, env: {}, ...options })
  await app.register(dbPlugin, { url: postgres.url, name: 'reports', env: {} })
  app.route({ method: ['GET', 'POST'], url: '/', handler: request => handler(request, app) })
  return app
}

const isQuiet = (app: FastifyInstance) =>
  until(() => app.db.status().checkedOut + app.db.reports.status().checkedOut === 0)

t.test('what was not sent when a repetition was allowed, never is', async t => {
  const late: Promise<unknown>[] = []
  const app = await serve(t, async ({ db }) => {
    await db.query('select 1')
    // By itself, so that nothing is sent along with it.
    late.push(db.query({ text: 'select * from locked', readOnly: true }))
    late.push(db.query(INSERT), db.query(`${INSERT}; ${INSERT}`))
    const [first, ...others] = [db.reports.query(COLLIDE), ...late]
    return Promise.all([first, ...others])
  })
  await postgres.admin('begin')
  await postgres.admin('lock table locked')
  const response = await app.inject({ method: 'POST', url: '/' })
  t.match(response, { statusCode: 503, headers: { 'retry-after': '1' } })
  await postgres.admin('commit')
  const [read, ...writes] = await Promise.allSettled(late)
  t.equal(read?.status, 'fulfilled')
  for (const write of writes) t.match(write, { reason: { code: 'FST_DB_CONNECTION_CLOSED' } })
  await isQuiet(app)
  t.equal(await rows(), 0)
})

t.test('nor is the COMMIT of a transaction that goes on', async t => {
  let goOn = () => {}
  const told = new Promise<void>(resolve => {
    goOn = resolve
  })
  const late: Promise<unknown>[] = []
  const app = await serve(t, async ({ db }) => {
    await new Promise<void>(resolve => {
      late.push(
        db.transaction(async tx => {
          await tx.query(INSERT)
          resolve()
          await told
        })
      )
    })
    return db.reports.query(COLLIDE)
  })
  const response = await app.inject({ method: 'POST', url: '/' })
  t.match(response, { statusCode: 503, headers: { 'retry-after': '1' } })
  goOn()
  await t.rejects(late[0]!, { code: 'FST_DB_CONNECTION_CLOSED' })
  await isQuiet(app)
  t.equal(await rows(), 0)
})

t.test('an error handler that writes takes the permission back', async t => {
  for (const problemJson of [false, true]) {
    const app = await serve(t, ({ db }) => db.query(COLLIDE), { problemJson })
    app.setErrorHandler(async (error, request) => {
      await request.db.query(INSERT)
      return toProblem(error)
    })
    // Taken from the routes that were added before it.
    app.post('/with-handler', ({ db }) => db.query(COLLIDE))
    const response = await app.inject({ method: 'POST', url: '/with-handler' })
    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], undefined)
    if (problemJson) t.match(response.json(), { retryable: false })
    t.equal(await rows(), 1)
    await postgres.admin('truncate entries')
  }
})

t.test('an error of app.db permits nothing that the request itself has forfeited', async t => {
  const app = await serve(t, async ({ db }, app) => {
    await db.query(INSERT)
    await app.db.query(COLLIDE)
  })
  for (const method of ['GET', 'POST'] as const) {
    const response = await app.inject({ method, url: '/' })
    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], undefined)
  }
  t.equal(await rows(), 2)
})
