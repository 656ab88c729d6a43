import { Socket } from 'node:net'
import fastifyPostgres from '@fastify/postgres'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import postgres from 'postgres'

/** Connections that each of them may open. */
const CONNECTIONS = 15

const READ = 'select count(*)::int from note where id = $1'
const WRITE = 'insert into note values ($1)'

const idOf = (request: FastifyRequest) => Number((request.query as { id: string }).id)

/** Each has `GET /note`, a read, and `POST /note`, one INSERT, as its documentation would have them written. */
const servers: Record<string, (app: FastifyInstance, url: string) => Promise<void>> = {
  ours: async (app, url) => {
    await addOurs(app, url)
    app.post('/note', async request => {
      await request.db.query(WRITE, [idOf(request)])
      return {}
    })
  },

  'ours, transactions with retries': async (app, url) => {
    await addOurs(app, url)
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

async function addOurs(app: FastifyInstance, url: string): Promise<void> {
  const recovery = Number(process.env.RECOVERY_TIMEOUT ?? 5)
  const engineOptions = {
    pool_size: CONNECTIONS,
    max_overflow: 0,
    ...(Number.isNaN(recovery) || recovery === 5 ? {} : { recovery_timeout: recovery })
  }
  await app.register(dbPlugin, { url, engineOptions, env: {} })
  app.get('/note', async request => (await request.db.query(READ, [idOf(request)])).rows[0])
}

function addPgRoutes(app: FastifyInstance): void {
  app.get('/note', async request => (await app.pg.query(READ, [idOf(request)])).rows[0])
  app.post('/note', async request => {
    await app.pg.query(WRITE, [idOf(request)])
    return {}
  })
}

/** Counts the attempts to connect to the database, also those that are refused. */
function countConnects(port: string): () => number {
  let connects = 0
  const { connect } = Socket.prototype
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]) {
    if (String(args[0]) === port) connects += 1
    return Reflect.apply(connect, this, args)
  } as typeof connect
  return () => connects
}

const [name = '', url = ''] = process.argv.slice(2)
const connects = countConnects(new URL(url).port)
const app = Fastify()
await servers[name]?.(app, url)
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(Number(new URL(address).port))
process.on('message', () => process.send?.(connects()))
process.on('disconnect', () => process.exit())
