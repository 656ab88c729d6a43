import type { FastifyInstance, FastifyRequest } from 'fastify'
import dbPlugin, {
  type Connection,
  type Engine,
  findEngineError,
  type RouteDatabaseConfig
} from 'fastify-pg-engine'
import type { Pool, QueryArrayResult, QueryResult } from 'pg'
import t from 'tap'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'

declare module 'fastify-pg-engine' {
  interface Databases {
    reports: true
  }
}

const postgres = await startPostgres(t)

interface Note {
  id: number
  text: string
}

/** Compiles only if the types are the same, not merely assignable. */
function exactly<Expected>() {
  return <Actual>(actual: [Actual, Expected] extends [Expected, Actual] ? Actual : never): Actual =>
    actual
}

/** What must compile; the tests below run it. */
async function accepted(app: FastifyInstance, request: FastifyRequest) {
  const typed = await request.db.query<Note>('select 1 id, $1::text "text"', ['one'])
  const arrays = await request.db.query<[number]>({ text: 'select 1', rowMode: 'array' })
  const named = await request.db.reports.query<{ one: number }>('select 1 one')
  exactly<QueryResult<Note>>()(typed)
  exactly<QueryArrayResult<[number]>>()(arrays)
  exactly<number | undefined>()(named.rows[0]?.one)
  const pool: Pool = app.db.pool
  const engine: Engine = app.db.reports
  const connection: Connection = request.db.reports
  const found = findEngineError(new Error('none'))
  exactly<string | undefined>()(found?.code)
  const sum = await request.db.transaction(
    async tx => (await tx.query<{ sum: number }>('select 2 sum')).rows[0]?.sum,
    { isolationLevel: 'SERIALIZABLE', readOnly: true }
  )
  exactly<number | undefined>()(sum)
  const isOwn = [pool === app.db.pool, engine === app.db.reports, connection === request.db.reports]
  return { rows: typed.rows, arrays: arrays.rows, one: named.rows[0]?.one, sum, isOwn }
}

/** What must not compile: the compiler fails on each of these lines that it would accept. Never run. */
export function refused(app: FastifyInstance, request: FastifyRequest): void {
  const options = { url: 'postgres://localhost' }
  // @ts-expect-error a database that nobody has declared
  void app.db.archive
  // @ts-expect-error likewise on the request
  void request.db.archive.query('select 1')
  // @ts-expect-error rows have the type that was asked for
  void request.db.query<Note>('select 1').then(({ rows }) => rows[0]?.title)
  // @ts-expect-error an element may be missing
  void request.db.query<Note>('select 1').then(({ rows }) => rows[0].text)
  // @ts-expect-error a number is no statement
  void request.db.query(1)
  // @ts-expect-error values come in an array
  void request.db.query('select $1', 'one')
  // @ts-expect-error no such isolation level
  void request.db.transaction(async () => {}, { isolationLevel: 'SNAPSHOT' })
  // @ts-expect-error a transaction wants a promise
  void request.db.transaction(() => 1)
  // @ts-expect-error an engine has no session, so no cursor can stay open on it
  void app.db.query({ submit: () => {} })
  // @ts-expect-error nobody replaces it
  request.db = app.db
  // @ts-expect-error no such event
  app.db.on('commit', () => {})
  // @ts-expect-error an unknown option
  void app.register(dbPlugin, { ...options, pool: 5 })
  // @ts-expect-error an option's value of another type
  void app.register(dbPlugin, { ...options, engineOptions: { pool_size: '5' } })
  const config: RouteDatabaseConfig = { transaction: { isolationLevel: 'SERIALIZABLE' } }
  // @ts-expect-error an unknown key of a route's config
  const misspelt: RouteDatabaseConfig = { transactions: true }
  app.get('/', { config: { db: config ?? misspelt } }, async () => ({}))
}

t.test('what is typed is what is there', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    void app.register(dbPlugin, { name: 'reports', url: postgres.url, env: {} })
    app.get('/', request => accepted(app, request))
  })
  t.same((await app.inject('/')).json(), {
    rows: [{ id: 1, text: 'one' }],
    arrays: [[1]],
    one: 1,
    sum: 2,
    isOwn: [true, true, true]
  })
})
