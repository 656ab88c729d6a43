import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPostgres } from './fixtures/postgres.js'

declare module 'fastify-pg-engine' {
  interface Databases {
    reports: true
  }
}

const postgres = await startPostgres(t)
const reportsUrl = await postgres.createDatabase()
const reports = new pg.Client(reportsUrl)
await reports.connect()
t.teardown(() => reports.end())

const SCHEMA =
  'create table entries (id int primary key, ref int references entries deferrable initially deferred)'
await postgres.admin(SCHEMA)
await reports.query(SCHEMA)
t.beforeEach(async () => {
  await postgres.admin('truncate entries')
  await reports.query('truncate entries')
})

const GOOD = 'insert into entries values (1)'
/** COMMIT refuses it. */
const BAD = 'insert into entries values (1, 99)'

/** How many rows are in each of them. */
async function rows(): Promise<[number, number]> {
  const count = 'select from entries'
  return [(await postgres.admin(count)).length, (await reports.query(count)).rowCount ?? 0]
}

async function serve(t: Test, handler: (request: FastifyRequest) => Promise<unknown>) {
  const app: FastifyInstance = Fastify()
  t.teardown(() => app.close())
  await app.register(dbPlugin, { url: postgres.url, env: {} })
  await app.register(dbPlugin, { url: reportsUrl, name: 'reports', env: {} })
  app.post('/', { config: { db: { transaction: true } } }, async (request, reply) => {
    reply.code(201).header('location', '/1')
    await handler(request)
    return { id: 1 }
  })
  return app
}

function post(app: FastifyInstance) {
  return app.inject({ method: 'POST', url: '/' })
}

function assertGivenBack(t: Test, app: FastifyInstance) {
  t.equal(app.db.status().checkedOut, 0)
  t.equal(app.db.reports.status().checkedOut, 0)
}

t.test('a route transaction spans every database the request touches', async t => {
  const app = await serve(t, async ({ db }) => {
    await db.query(GOOD)
    await db.reports.query(GOOD)
    t.same(await rows(), [0, 0])
  })
  t.equal((await post(app)).statusCode, 201)
  t.same(await rows(), [1, 1])
  assertGivenBack(t, app)
})

t.test('what is thrown undoes both', async t => {
  const app = await serve(t, async ({ db }) => {
    await Promise.all([db.query(GOOD), db.reports.query(GOOD)])
    throw new Error('thrown')
  })
  t.equal((await post(app)).statusCode, 500)
  t.same(await rows(), [0, 0])
  assertGivenBack(t, app)
})

t.test('the first COMMIT that fails undoes what is behind it', async t => {
  const app = await serve(t, async ({ db }) => {
    await db.query(BAD)
    await db.reports.query(GOOD)
  })
  const response = await post(app)
  t.match(response, { statusCode: 500, headers: { location: undefined } })
  t.equal(response.json().code, '23503')
  t.same(await rows(), [0, 0])
  assertGivenBack(t, app)
})

t.test(
  'one that fails behind another that held: nothing invites to repeat the request',
  async t => {
    const app = await serve(t, async ({ db }) => {
      await db.query(GOOD)
      await db.reports.query(GOOD)
      const [client] = (
        await reports.query<{ pid: number }>(
          'select pid from pg_stat_activity where datname = current_database() and backend_xid is not null'
        )
      ).rows
      await postgres.terminateBackends({ pids: [client!.pid] })
    })
    const response = await post(app)
    t.equal(response.statusCode, 503)
    t.equal(response.json().code, 'FST_DB_PARTLY_APPLIED')
    t.match(response.headers, { location: undefined, 'retry-after': undefined })
    t.same(await rows(), [1, 0])
    assertGivenBack(t, app)
  }
)

t.test('nothing is committed anywhere where one of them is known to be lost or failed', async t => {
  const lose = async ({ db }: FastifyRequest) => {
    const { rows } = await db.reports.query('select pg_backend_pid() as pid')
    await postgres.terminateBackends({ pids: [rows[0]?.pid] })
    await db.reports.query('select 1').catch(() => {})
  }
  const fail = ({ db }: FastifyRequest) => db.reports.query('select 1/0').catch(() => {})
  for (const [code, spoil] of [
    ['FST_DB_PENDING_ROLLBACK', lose],
    ['FST_DB_ROLLED_BACK', fail]
  ] as const) {
    const app = await serve(t, async request => {
      await request.db.query(GOOD)
      await request.db.reports.query(GOOD)
      await spoil(request)
    })
    const response = await post(app)
    t.match(response.json(), { code })
    t.same(await rows(), [0, 0], code)
    assertGivenBack(t, app)
  }
})
