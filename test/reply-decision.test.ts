import type { FastifyInstance, FastifyReply } from 'fastify'
import Fastify from 'fastify'
import type { DbPluginOptions } from 'fastify-pg-engine'
import dbPlugin from 'fastify-pg-engine'
import t, { type Test } from 'tap'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'
import type { ProtocolMessage } from './fixtures/protocol-messages.js'
import { type Point, startProtocolProxy } from './fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin(
  'create table entries (id int primary key, ref int references entries deferrable initially deferred)'
)
t.beforeEach(() => postgres.admin('truncate entries'))

const ROUTE = { config: { db: { transaction: true } } }
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from entries order by id')).map(({ id }) => id)

/** What a handler may promise with its reply. */
function promise(reply: FastifyReply): { id: number } {
  reply.code(201).header('location', '/entries/1').header('etag', '"1"').header('x-own', 'own')
  reply.header('set-cookie', 'a=1').header('set-cookie', 'b=2').header('cache-control', 'public')
  reply.type('application/vnd.entry+json')
  reply.raw.setHeader('x-raw', 'raw')
  return { id: 1 }
}
const PROMISED = ['location', 'etag', 'set-cookie', 'x-own', 'x-raw']

t.test('a COMMIT that is kept keeps what was promised with the reply', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async ({ db }, reply) => {
      await db.query('insert into entries values (1)')
      return promise(reply)
    })
  })
  const { headers, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.equal(statusCode, 201)
  t.match(headers, { location: '/entries/1', 'set-cookie': ['a=1', 'b=2'], 'x-raw': 'raw' })
  t.match(headers, { 'content-type': /^application\/vnd/, 'cache-control': 'public' })
})

t.test('a deferred constraint that fails at COMMIT makes the reply its error', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async ({ db }, reply) => {
      await db.query('insert into entries values (1, 99)')
      return promise(reply)
    })
  })
  const { headers, json, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.equal(statusCode, 500)
  t.equal(json().code, '23503')
  for (const name of PROMISED) t.equal(headers[name], undefined, name)
  t.equal(headers['content-type'], 'application/json; charset=utf-8')
  t.equal(headers['cache-control'], undefined)
  t.same(await ids(), [])
  t.equal(app.db.status().checkedOut, 0)
})

t.test(
  'nor does a status that the handler had set stay, whatever the error handler sends',
  async t => {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.setErrorHandler((_error, _request, reply) => reply.send({ own: true }))
      app.post('/', ROUTE, async ({ db }, reply) => {
        await db.query('insert into entries values (1, 99)')
        return promise(reply)
      })
    })
    const { headers, json, statusCode } = await app.inject({ method: 'POST', url: '/' })
    t.same(json(), { own: true })
    t.equal(statusCode, 500)
    for (const name of PROMISED) t.equal(headers[name], undefined, name)
  }
)

t.test('what other plugins had set before, or set on every reply, stays', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-before', 'before').header('set-cookie', ['session=1', 'lang=en'])
    reply.header('etag', 'of before')
  })
  await app.register(dbPlugin, { url: postgres.url, env: {} })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('x-always', 'always')
  })
  app.post('/', ROUTE, async ({ db }, reply) => {
    await db.query('insert into entries values (1, 99)')
    return promise(reply)
  })
  const { headers, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.equal(statusCode, 500)
  t.match(headers, { 'x-before': 'before', 'x-always': 'always', etag: 'of before' })
  t.same(headers['set-cookie'], ['session=1', 'lang=en'])
  t.equal(headers.location, undefined)
})

t.test('a serialization failure at COMMIT is a 503 that may be repeated at once', async t => {
  const isolationLevel = 'SERIALIZABLE'
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post(
      '/',
      { config: { db: { transaction: { isolationLevel } } } },
      async ({ db }, reply) => {
        await db.query('select count(*) from entries')
        await db.query('insert into entries values (1)')
        const other = (id: number) =>
          `insert into entries select ${id} from entries having count(*) = 0`
        await app.db.transaction(tx => tx.query(other(2)), { isolationLevel })
        return promise(reply)
      }
    )
  })
  const { headers, json, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.equal(statusCode, 503)
  t.equal(json().code, 'FST_DB_CONTENTION')
  t.match(headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  for (const name of PROMISED) t.equal(headers[name], undefined, name)
  t.same(await ids(), [2])
})

const COMMIT = ({ name, statement }: ProtocolMessage, wanted: string) =>
  name === wanted && statement === 'COMMIT'
const BEFORE: Point = { way: 'toServer', side: 'before', message: m => COMMIT(m, 'Query') }
const AFTER: Point = { way: 'toClient', side: 'before', message: m => COMMIT(m, 'CommandComplete') }

/** Loses the connection at a point of the route's COMMIT. */
async function lostAt(
  t: Test,
  point: Point,
  how: 'fin' | 'rst',
  options: Partial<DbPluginOptions>
) {
  const proxy = await startProtocolProxy(t, postgres)
  const app = await buildApp(t, { url: proxy.proxy.url(postgres.url), ...options }, app => {
    const handler = (idempotent: boolean) => {
      app.post(
        idempotent ? '/idempotent' : '/',
        { config: { db: { transaction: true, idempotent } } },
        async ({ db }, reply) => {
          const insert = 'insert into entries values (1) returning pg_backend_pid() pid'
          const { rows } = await db.query<{ pid: number }>(insert)
          proxy.of(rows[0]!.pid).cutAt(point, how)
          return promise(reply)
        }
      )
    }
    handler(false)
    handler(true)
  })
  return app
}

function post(app: FastifyInstance, url = '/') {
  return app.inject({ method: 'POST', url })
}

for (const how of ['fin', 'rst'] as const) {
  t.test(
    `a connection lost (${how}) before COMMIT reached the server is a 503 to repeat`,
    async t => {
      const app = await lostAt(t, BEFORE, how, {})
      const { headers, json, statusCode } = await post(app)
      t.equal(statusCode, 503)
      t.equal(json().code, 'FST_DB_DISCONNECTED')
      t.match(headers, { 'retry-after': '1', 'cache-control': 'no-store' })
      for (const name of PROMISED) t.equal(headers[name], undefined, name)
      t.same(await ids(), [])
    }
  )

  t.test(`one lost (${how}) when COMMIT was done is found out about: the reply stays`, async t => {
    const app = await lostAt(t, AFTER, how, {})
    const { headers, statusCode } = await post(app)
    t.equal(statusCode, 201)
    t.match(headers, { location: '/entries/1', 'retry-after': undefined })
    t.same(await ids(), [1])
    t.equal(app.db.status().checkedOut, 0)
  })
}

t.test('where nobody can find out, the reply says so', async t => {
  for (const point of [BEFORE, AFTER]) {
    await postgres.admin('truncate entries')
    const app = await lostAt(t, point, 'rst', { engineOptions: { resolve_doubt: false } })
    const { headers, json, statusCode } = await post(app)
    t.equal(statusCode, 503)
    t.equal(json().code, 'FST_DB_OUTCOME_UNKNOWN')
    t.match(headers, { 'retry-after': undefined, 'cache-control': 'no-store' })
    for (const name of PROMISED) t.equal(headers[name], undefined, name)
    await postgres.admin('truncate entries')
    t.equal((await post(app, '/idempotent')).headers['retry-after'], '1')
  }
})
