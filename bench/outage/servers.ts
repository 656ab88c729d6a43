import fastifyPostgres from '@fastify/postgres'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import postgres from 'postgres'

/** Connections that each of them may open. */
export const CONNECTIONS = 15

/** Seconds that a request to `/limited`, of ours, may take; otherwise it is as `/note`, its INSERT in a transaction. */
const LIMIT_SECONDS = 1

/** How long the statement of `GET /slow`, of ours, takes. */
export const SLOW_SECONDS = 0.5
const SLOW = `select pg_sleep(${SLOW_SECONDS})`
const READ = 'select count(*)::int from note where id = $1'
const WRITE = 'insert into note values ($1)'

type AddRoutes = (app: FastifyInstance, url: string, engineOptions: object) => Promise<void>

const idOf = (request: FastifyRequest) => Number((request.query as { id: string }).id)

/** Each has `GET /note`, a read, and `POST /note`, one INSERT, as its documentation would have them written. */
export const servers: Record<string, AddRoutes> = {
  ours: async (app, url, engineOptions) => {
    await addOurs(app, url, engineOptions)
    app.post('/note', async request => {
      await request.db.query(WRITE, [idOf(request)])
      return {}
    })
  },

  'ours, transactions with retries': async (app, url, engineOptions) => {
    await addOurs(app, url, engineOptions)
    app.post('/note', async request => {
      const id = idOf(request)
      await request.db.transaction(tx => tx.query(WRITE, [id]), { retries: 3 })
      return {}
    })
  },

  '@fastify/postgres': async (app, url) => {
    await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
    addPgRoutes(app)
  },

  '@fastify/postgres, with error listeners': async (app, url) => {
    await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
    app.pg.pool.on('error', () => {})
    app.pg.pool.on('connect', client => client.on('error', () => {}))
    addPgRoutes(app)
  },

  'postgres.js': async (app, url) => {
    const sql = postgres(url, { max: CONNECTIONS })
    app.get('/note', async request => (await sql.unsafe(READ, [idOf(request)]))[0])
    app.post('/note', async request => {
      await sql.unsafe(WRITE, [idOf(request)])
      return {}
    })
  }
}

async function addOurs(app: FastifyInstance, url: string, options: object): Promise<void> {
  const engineOptions = { pool_size: CONNECTIONS, max_overflow: 0, ...options }
  await app.register(dbPlugin, { url, engineOptions, env: {} })
  const config = { db: { timeout: LIMIT_SECONDS } }
  const read = async (request: FastifyRequest) =>
    (await request.db.query(READ, [idOf(request)])).rows[0]
  app.get('/note', read)
  app.get('/limited', { config }, read)
  app.post('/limited', { config }, async request => {
    await request.db.transaction(tx => tx.query(WRITE, [idOf(request)]))
    return {}
  })
  app.get('/slow', async request => (await request.db.query(SLOW)).rows[0])
}

function addPgRoutes(app: FastifyInstance): void {
  app.get('/note', async request => (await app.pg.query(READ, [idOf(request)])).rows[0])
  app.post('/note', async request => {
    await app.pg.query(WRITE, [idOf(request)])
    return {}
  })
}
