import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import t from 'tap'
import { named } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

declare module 'fastify-pg-engine' {
  interface Databases {
    reports: true
  }
}

const postgres = await startPostgres(t)
const reports = await postgres.createDatabase()

async function build(): Promise<FastifyInstance> {
  const app = Fastify()
  const env = {
    DATABASE_URL: named(postgres.url, 'main'),
    REPORTS_DATABASE_URL: named(reports, 'reports')
  }
  await app.register(dbPlugin, { env })
  await app.register(dbPlugin, { env, name: 'reports' })
  app.get('/', async ({ db }) => {
    const [main, other] = await Promise.all([
      db.query('select current_database() name'),
      db.reports.query('select current_database() name')
    ])
    return [main.rows[0]?.name, other.rows[0]?.name]
  })
  return app
}

t.test('F02 F16: a request uses two databases, and gives both connections back', async t => {
  const app = await build()
  t.teardown(() => app.close())
  t.same((await app.inject('/')).json(), ['postgres', new URL(reports).pathname.slice(1)])
  t.equal(app.db.status().checkedOut, 0)
  t.equal(app.db.reports.status().checkedOut, 0)
})

t.test('the loss of one does not touch the other', async t => {
  const app = await build()
  t.teardown(() => app.close())
  await app.inject('/')
  const [kept] = await postgres.backends({ applicationName: 'main', where: "state = 'idle'" })
  app.db.reports.invalidate()
  await app.inject('/')
  t.equal(app.db.status().generation, 0)
  t.equal(app.db.reports.status().generation, 1)
  const [still] = await postgres.backends({ applicationName: 'main', where: "state = 'idle'" })
  t.equal(still?.pid, kept?.pid)
})

t.test('F08: without a default database its use says so, and the named one works', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbPlugin, { url: reports, name: 'reports', env: {} })
  app.get('/named', async ({ db }) => (await db.reports.query('select 1 one')).rows)
  app.get('/default', async ({ db }) => (await db.query('select 1 one')).rows)
  t.same((await app.inject('/named')).json(), [{ one: 1 }])
  const response = await app.inject('/default')
  t.equal(response.statusCode, 500)
  t.match(response.json().message, /No default database is registered; the databases are reports/)
})

t.test('F26: the same name twice, or one that hides a member, does not boot', async t => {
  for (const name of ['reports', undefined, 'query', 'status', 'release', '9lives', '']) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(dbPlugin, { url: postgres.url, env: {} })
    await app.register(dbPlugin, { url: postgres.url, name: 'reports', env: {} })
    const options = name === undefined ? {} : { name }
    await t.rejects(
      async () => await app.register(dbPlugin, { url: postgres.url, env: {}, ...options }),
      { code: 'FST_DB_INVALID_OPTIONS' },
      String(name)
    )
  }
})

t.test('registered in a plain plugin it stays there', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbPlugin, { url: postgres.url, env: {} })
  const inside: FastifyPluginAsync = async inner => {
    await inner.register(dbPlugin, { url: reports, name: 'reports', env: {} })
    inner.get('/inner', async ({ db }) => ({
      own: (await db.reports.query('select 1 one')).rows,
      outer: (await db.query('select 2 two')).rows
    }))
  }
  await app.register(inside)
  app.get('/outer', async ({ db }) => ({ reports: db.reports === undefined }))
  t.same((await app.inject('/inner')).json(), { own: [{ one: 1 }], outer: [{ two: 2 }] })
  t.same((await app.inject('/outer')).json(), { reports: true })
})
