import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Kysely, PostgresDialect, type PostgresPool, sql } from 'kysely'
import Cursor from 'pg-cursor'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { isCoded503, killUnder, SECRET_PARAMETER } from '../fixtures/killed.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key, text text)')
await postgres.admin("insert into notes values (1, 'one')")

interface Tables {
  notes: { id: number; text: string | null }
}

const sleep = sql`select pg_sleep(600), ${SECRET_PARAMETER}::text`

/** Kysely on the connection of a request: statements are part of its transaction, and of its ledger. */
function kyselyOf(request: FastifyRequest): Kysely<Tables> {
  const client = { query: request.db.query, release: () => {} }
  const pool = { connect: async () => client, end: async () => {} } as unknown as PostgresPool
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
}

function addRoutes(app: FastifyInstance): void {
  const database = new Kysely<Tables>({
    dialect: new PostgresDialect({ pool: app.db.pool, cursor: Cursor })
  })
  app.addHook('onClose', () => database.destroy())
  app.get('/pool', () => database.selectFrom('notes').selectAll().where('id', '=', 1).execute())
  app.get('/pool/stream', async () => {
    const ids: number[] = []
    const rows = sql<{ id: number }>`(select generate_series(1, 5) id)`
    for await (const { id } of database.selectFrom(rows.as('r')).selectAll().stream(2)) ids.push(id)
    return ids
  })
  app.get('/pool/sleep', () => sleep.execute(database))
  app.post('/pool/transaction', () =>
    database.transaction().execute(async tx => {
      await tx.insertInto('notes').values({ id: 2, text: 'lost' }).execute()
      await sleep.execute(tx)
    })
  )
  app.get('/request', request =>
    kyselyOf(request).selectFrom('notes').selectAll().where('id', '=', 1).execute()
  )
  app.post('/request/transaction', { config: { db: { transaction: true } } }, async request => {
    const database = kyselyOf(request)
    await database.insertInto('notes').values({ id: 3, text: 'lost' }).execute()
    await sleep.execute(database)
  })
}

t.test('Kysely works on app.db.pool and on a request’s connection', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  const row = [{ id: 1, text: 'one' }]
  t.same((await app.inject('/pool')).json(), row)
  t.same((await app.inject('/request')).json(), row)
  t.same((await app.inject('/pool/stream')).json(), [1, 2, 3, 4, 5])
  t.equal(app.db.status().checkedOut, 0)
})

t.test('a backend killed under Kysely is a coded 503', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  isCoded503(t, await killUnder(postgres, app.inject('/pool/sleep')))
  for (const url of ['/pool/transaction', '/request/transaction']) {
    const response = await killUnder(postgres, app.inject({ method: 'POST', url }))
    isCoded503(t, response)
    t.equal(response.json().code, 'FST_DB_DISCONNECTED', 'nothing of the transaction is left')
  }
  t.same(await postgres.admin('select id from notes where id > 1'), [])
  t.equal((await app.inject('/pool')).statusCode, 200)
  t.equal(app.db.status().checkedOut, 0)
})
