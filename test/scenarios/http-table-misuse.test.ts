import type { Connection } from 'fastify-pg-engine'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { assertAnswered, type Expected, type Failing } from '../fixtures/http-ways.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table secrets (id int primary key)')
const options = { url: postgres.url }
const INSERT = 'insert into secrets values (1)'

const coded = (code: string, outcome = 'none'): Expected => ({ code, status: 500, outcome })

t.test('a statement behind the loss of its transaction', async t => {
  const handler: Failing['handler'] = async ({ db }) => {
    await db.query('begin')
    const { rows } = await db.query<{ pid: number }>('select pg_backend_pid() pid')
    await postgres.terminateBackends({ pids: [rows[0]!.pid] })
    await t.rejects(db.query(INSERT), { code: 'FST_DB_DISCONNECTED' })
    await db.query(INSERT)
  }
  await assertAnswered(t, { options, handler }, coded('FST_DB_PENDING_ROLLBACK', 'rolled_back'))
})

t.test('a transaction that would overlap another, or be ended by hand', async t => {
  const overlapping: Failing['handler'] = ({ db }) =>
    db.transaction(() => db.transaction(async () => {}))
  await assertAnswered(t, { options, handler: overlapping }, coded('FST_DB_TRANSACTION_STATE'))
  const byHand: Failing['handler'] = ({ db }) => db.transaction(() => db.query('commit'))
  await assertAnswered(t, { options, handler: byHand }, coded('FST_DB_TRANSACTION_STATE'))
})

t.test('a connection that is used after its reply', async t => {
  let former: Connection | undefined
  const app = await buildApp(t, options, app => {
    app.get('/', async ({ db }) => {
      former = db
      return {}
    })
  })
  await app.inject('/')
  const handler: Failing['handler'] = async () => former?.query(INSERT)
  await assertAnswered(t, { options, handler }, coded('FST_DB_CONNECTION_CLOSED'))
})

t.test('COMMIT that the server answers with ROLLBACK', async t => {
  const swallow = async (db: Pick<Connection, 'query'>) => {
    await db.query(INSERT)
    await t.rejects(db.query(INSERT), { code: '23505' })
  }
  const handler: Failing['handler'] = ({ db }) => db.transaction(swallow)
  const expected = coded('FST_DB_ROLLED_BACK', 'rolled_back')
  await assertAnswered(t, { options, handler }, expected)
  const byHand: Failing['handler'] = async ({ db }) => {
    await db.query('begin')
    await swallow(db)
    await db.query('commit')
  }
  await assertAnswered(t, { options, handler: byHand }, expected)
  t.same(await postgres.admin('select from secrets'), [])
})

t.test('nor do any of them let a route that is repeatable say so', async t => {
  const handler: Failing['handler'] = ({ db }) => db.transaction(() => db.query('commit'))
  const config = { idempotent: true }
  await assertAnswered(t, { options, config, handler }, coded('FST_DB_TRANSACTION_STATE'))
})
