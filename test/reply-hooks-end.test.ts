import { once } from 'node:events'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp, named } from './fixtures/app.js'
import { ask, listen } from './fixtures/http-client.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int primary key)')
t.beforeEach(() => postgres.admin('truncate entries'))

const ROUTE = { config: { db: { transaction: true } } }
const INSERT = 'insert into entries values (1)'
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from entries order by id')).map(({ id }) => id)

async function serve(
  t: Test,
  handler: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
) {
  const app = await buildApp(t, { url: named(postgres.url, 'end'), onAbort: 'cancel' }, app => {
    app.post('/', ROUTE, handler)
  })
  return { app, port: await listen(app) }
}

/** Everything is back in the pool, and nothing was lost on the way. */
async function assertRolledBack(t: Test, app: Awaited<ReturnType<typeof buildApp>>) {
  await until(() => app.db.status().checkedOut === 0)
  t.match(app.db.status(), { size: 1, idle: 1, generation: 0 }, 'its client was not thrown away')
  t.same(await ids(), [])
}

t.test('a hijacked reply is rolled back when it ends', async t => {
  const { app, port } = await serve(t, async ({ db }, reply) => {
    await db.query(INSERT)
    reply.hijack()
    reply.raw.end('mine')
  })
  t.match(await ask(port, '/'), { statusCode: 200, body: 'mine' })
  await assertRolledBack(t, app)
})

t.test('so is one that was written around Fastify', async t => {
  const { app, port } = await serve(t, async ({ db }, reply) => {
    await db.query(INSERT)
    reply.raw.writeHead(200).end('around')
    return reply
  })
  t.match(await ask(port, '/'), { statusCode: 200, body: 'around' })
  await assertRolledBack(t, app)
})

t.test('a client that leaves before there is a reply gets nothing committed', async t => {
  let leave = () => {}
  const { app, port } = await serve(t, async ({ db }, reply) => {
    await db.query(INSERT)
    const closed = once(reply.raw, 'close')
    leave()
    await closed
    return { ok: true }
  })
  const left = t.rejects(
    ask(port, '/', {
      onSent: how => {
        leave = how
      }
    }),
    { code: 'ECONNRESET' }
  )
  await left
  await assertRolledBack(t, app)
})

t.test('one that leaves while a statement runs is rolled back behind it', async t => {
  let leave = () => {}
  let failed: unknown
  const { app, port } = await serve(t, async ({ db }, reply) => {
    await db.query(INSERT)
    const running = db.query("select pg_sleep(60), 'behind it'").catch(error => {
      failed = error
    })
    await once(reply.raw, 'close')
    await running
    await t.rejects(db.query(INSERT), { code: 'FST_DB_CLIENT_GONE' })
    return { ok: true }
  })
  const left = t.rejects(
    ask(port, '/', {
      onSent: how => {
        leave = how
      }
    }),
    { code: 'ECONNRESET' }
  )
  await postgres.untilBackends({
    applicationName: 'end',
    where: "query like '%behind it%' and state = 'active'"
  })
  leave()
  await left
  await until(() => failed !== undefined)
  t.match(failed, { code: 'FST_DB_CLIENT_GONE' })
  await assertRolledBack(t, app)
})

t.test('a handler that goes on after its reply cannot add to what was committed', async t => {
  let isRefused: Promise<unknown> = Promise.resolve()
  const { app, port } = await serve(t, async ({ db }, reply) => {
    await db.query(INSERT)
    await reply.code(201).send({ id: 1 })
    isRefused = t.rejects(db.query('insert into entries values (2)'), {
      code: /^FST_DB_(CONNECTION_CLOSED|TRANSACTION_STATE)$/
    })
    await isRefused
  })
  t.match(await ask(port, '/'), { statusCode: 201 })
  await isRefused
  await until(() => app.db.status().checkedOut === 0)
  t.same(await ids(), [1])
})
