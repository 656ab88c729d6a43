import t from 'tap'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(
  'create table entries (id int primary key, ref int references entries deferrable initially deferred)'
)
const PROBLEM = 'application/problem+json; charset=utf-8'
const AWAY = { url: 'postgres://127.0.0.1:1/nobody', engineOptions: { recovery_timeout: 0 } }
const UNAVAILABLE = {
  type: 'urn:fastify-pg-engine:unavailable',
  title: 'The database is not available',
  status: 503,
  code: 'FST_DB_UNAVAILABLE',
  outcome: 'none',
  retryable: true,
  retry_after: 1
}

t.test('a failure of the database is a problem, whatever body the error handler sends', async t => {
  const bodies: unknown[] = [undefined, 'text', '', { own: true }, [], Buffer.from('bytes'), null]
  for (const body of bodies) {
    const app = await buildApp(t, { ...AWAY, problemJson: true }, app => {
      app.setErrorHandler((_error, _request, reply) => reply.send(body))
      app.get('/', ({ db }) => db.query('select 1'))
    })
    const response = await app.inject('/')
    t.equal(response.statusCode, 503)
    t.equal(response.headers['content-type'], PROBLEM, JSON.stringify(body))
    t.equal(response.headers['content-length'], String(Buffer.byteLength(response.body)))
    t.match(response.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
    t.strictSame(response.body && response.json(), UNAVAILABLE, JSON.stringify(body))
  }
})

t.test('a reply that the error handler made a success of stays what it is', async t => {
  const app = await buildApp(t, { ...AWAY, problemJson: true }, app => {
    app.setErrorHandler((_error, _request, reply) => reply.code(200).send({ cached: true }))
    app.get('/', ({ db }) => db.query('select 1'))
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 200)
  t.same(response.json(), { cached: true })
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
})

t.test('a problem never names another status than the reply has', async t => {
  const app = await buildApp(t, { ...AWAY, problemJson: true }, app => {
    app.setErrorHandler((_error, _request, reply) => reply.code(502).send({ own: true }))
    app.get('/', ({ db }) => db.query('select 1'))
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 502)
  t.equal(response.json().status ?? 502, 502)
})

t.test(
  'a COMMIT that fails is a problem if it is the database’s, and not if it is not',
  async t => {
    const app = await buildApp(t, { url: postgres.url, problemJson: true }, app => {
      const config = { db: { transaction: true } }
      app.post('/swallowed', { config }, async ({ db }, reply) => {
        await t.rejects(db.query('selec'), { code: '42601' })
        return reply.code(201).header('location', '/1').send({ id: 1 })
      })
      app.post('/deferred', { config }, async ({ db }) => {
        await db.query('insert into entries values (1, 99)')
        return { id: 1 }
      })
    })
    const swallowed = await app.inject({ method: 'POST', url: '/swallowed' })
    t.equal(swallowed.statusCode, 500)
    t.equal(swallowed.headers['content-type'], PROBLEM)
    t.equal(swallowed.headers.location, undefined)
    t.match(swallowed.json(), { code: 'FST_DB_ROLLED_BACK', status: 500, retryable: false })
    const deferred = await app.inject({ method: 'POST', url: '/deferred' })
    t.equal(deferred.headers['content-type'], 'application/json; charset=utf-8')
    t.match(deferred.json(), { statusCode: 500, code: '23503' })
  }
)

t.test('an error of nobody’s database, and a success, are left alone', async t => {
  const app = await buildApp(t, { url: postgres.url, problemJson: true }, app => {
    app.get('/ok', ({ db }) => db.query('select 1').then(({ rows }) => rows))
    app.get('/error', async () => {
      throw Object.assign(new Error('teapot'), { statusCode: 418 })
    })
  })
  t.equal((await app.inject('/ok')).headers['content-type'], 'application/json; charset=utf-8')
  t.match((await app.inject('/error')).json(), { statusCode: 418, message: 'teapot' })
  t.match((await app.inject('/missing')).json(), { statusCode: 404 })
})

t.test('HEAD is told of it by its headers', async t => {
  const app = await buildApp(t, { ...AWAY, problemJson: true }, app => {
    app.get('/', ({ db }) => db.query('select 1'))
  })
  const response = await app.inject({ method: 'HEAD', url: '/' })
  t.equal(response.statusCode, 503)
  t.equal(response.body, '')
  t.match(response.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
})
