import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { isCoded503, killUnder, SECRET_PARAMETER } from '../fixtures/killed.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key, text text)')

const notes = pgTable('notes', { id: integer().primaryKey(), text: text() })
const sleep = sql`select pg_sleep(600), ${SECRET_PARAMETER}::text`

function addRoutes(app: FastifyInstance): void {
  const database = drizzle(app.db.pool)
  app.post('/pool', () => database.insert(notes).values({ id: 1, text: 'one' }).returning())
  app.get('/pool', () => database.select().from(notes).where(eq(notes.id, 1)))
  app.get('/pool/sleep', () => database.execute(sleep))
  app.post('/pool/taken', () =>
    database.insert(notes).values({ id: 1, text: SECRET_PARAMETER }).returning()
  )
  app.post('/pool/transaction', () =>
    database.transaction(async tx => {
      await tx.insert(notes).values({ id: 2, text: 'lost' })
      await tx.execute(sleep)
    })
  )
  app.get('/request', async request =>
    drizzle(await request.db.client())
      .select()
      .from(notes)
      .where(eq(notes.id, 1))
  )
  app.post('/request/transaction', { config: { db: { transaction: true } } }, async request => {
    const database = drizzle(request.db as never)
    await database.insert(notes).values({ id: 3, text: 'lost' })
    await database.execute(sleep)
  })
}

t.test('Drizzle works on app.db.pool and on a request’s connection', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  const row = [{ id: 1, text: 'one' }]
  t.same((await app.inject({ method: 'POST', url: '/pool' })).json(), row)
  t.same((await app.inject('/pool')).json(), row)
  t.same((await app.inject('/request')).json(), row)
  t.equal(app.db.status().checkedOut, 0)
})

t.test('a backend killed under Drizzle is a coded 503, also inside DrizzleQueryError', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  const read = await killUnder(postgres, app.inject('/pool/sleep'))
  isCoded503(t, read)
  t.equal(read.headers['retry-after'], '1')
  for (const url of ['/pool/transaction', '/request/transaction']) {
    const response = await killUnder(postgres, app.inject({ method: 'POST', url }))
    isCoded503(t, response)
    t.equal(response.json().code, 'FST_DB_DISCONNECTED', 'nothing of the transaction is left')
  }
  t.same(await postgres.admin('select id from notes where id > 1'), [])
  t.equal((await app.inject('/pool')).statusCode, 200)
  t.equal(app.db.status().checkedOut, 0)
})

t.test('an error of the statement’s own keeps its status, and the statement to itself', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  await app.inject({ method: 'POST', url: '/pool' })
  const response = await app.inject({ method: 'POST', url: '/pool/taken' })
  t.equal(response.statusCode, 500)
  t.equal(response.json().message, 'Internal Server Error')
  t.notMatch(response.body, /insert|nobody-may-see/)
})
