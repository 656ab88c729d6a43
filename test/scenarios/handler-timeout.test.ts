import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { servedBy, until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (text text)')

const handlerTimeout = 300
const AMPLE_MS = 20_000
const SLEEP = 'select pg_sleep(600)'

function addRoutes(app: FastifyInstance): void {
  app.get('/statement', { handlerTimeout }, async ({ db }) => db.query(SLEEP))
  app.post('/write', { handlerTimeout }, async ({ db }) =>
    db.query('insert into notes select pg_sleep(600)::text')
  )
  app.post('/transaction', { handlerTimeout }, async ({ db }) =>
    db.transaction(async tx => {
      await tx.query("insert into notes values ('transaction')")
      await tx.query(SLEEP)
    })
  )
  const config = { db: { transaction: true } }
  app.post('/route', { handlerTimeout, config }, async ({ db }) => {
    await db.query("insert into notes values ('route')")
    await db.query(SLEEP)
  })
  app.get('/limit', { handlerTimeout: AMPLE_MS, config }, async ({ db }) => {
    const text =
      "select setting::int milliseconds from pg_settings where name = 'statement_timeout'"
    return (await db.query(text)).rows[0]
  })
  app.get('/hijacked', { handlerTimeout }, async ({ db }, reply) => {
    reply.hijack()
    const { rows } = await db.query('select pg_sleep($1)', [(handlerTimeout * 2) / 1000])
    reply.raw.end(`${rows.length} row`)
  })
}

async function build(name: string) {
  const engineOptions = { pool_size: 1, max_overflow: 0 }
  const app = await buildApp(t, { url: named(postgres.url, name), engineOptions }, addRoutes)
  return { app, pid: await servedBy(app.db) }
}

t.test("what Fastify's handlerTimeout has answered, the server does no longer", async t => {
  const { app, pid } = await build('limited')
  for (const url of ['/statement', '/write', '/transaction', '/route']) {
    const method = url === '/statement' ? 'GET' : 'POST'
    const answer = await app.inject({ method, url })
    t.equal(answer.statusCode, 503, url)
    await until(() => app.db.status().checkedOut === 0)
    const busy = { applicationName: 'limited', where: "state <> 'idle'" }
    t.strictSame(await postgres.backends(busy), [], url)
    t.equal(await servedBy(app.db), pid, `the same session serves after ${url}`)
  }
  t.same(await postgres.admin('select * from notes'), [])
})

t.test('it bounds the wait for a connection', async t => {
  const { app } = await build('waiting')
  const held = await app.db.connect()
  const answer = await app.inject('/statement')
  t.equal(answer.statusCode, 503)
  await until(() => app.db.status().waiting === 0)
  held.release()
})

t.test('within a transaction the server knows of it', async t => {
  const { app } = await build('transaction')
  const { milliseconds } = (await app.inject('/limit')).json()
  t.ok(milliseconds > 0 && milliseconds <= AMPLE_MS + 1)
})

t.test('a hijacked reply has no time limit of Fastify’s', async t => {
  const { app } = await build('hijacked')
  t.equal((await app.inject('/hijacked')).body, '1 row')
})
