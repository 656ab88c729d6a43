import underPressure from '@fastify/under-pressure'
import Fastify from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import t from 'tap'
import { named } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('app.db.ping() is the health check of @fastify/under-pressure', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(dbPlugin, { url: named(postgres.url, 'healthy'), env: {} })
  await app.register(underPressure, {
    exposeStatusRoute: '/health',
    healthCheck: async () => {
      await app.db.ping()
      return true
    }
  })
  app.get('/', async request => (await request.db.query('select 1 one')).rows)
  t.same((await app.inject('/')).json(), [{ one: 1 }])
  t.equal((await app.inject('/health')).statusCode, 200)
  await postgres.terminateBackends({ applicationName: 'healthy' })
  t.equal((await app.inject('/health')).statusCode, 200, 'one lost client is no lost database')

  await postgres.stop()
  const sick = await app.inject('/health')
  t.equal(sick.statusCode, 503)
  t.match(sick.json(), { code: 'FST_UNDER_PRESSURE' })
  t.equal(sick.headers['retry-after'], '10')
  const refused = await app.inject('/')
  t.match([refused.statusCode, refused.json().code], [503, 'FST_DB_UNAVAILABLE'])

  await postgres.start()
  t.equal((await app.inject('/health')).statusCode, 200)
})
