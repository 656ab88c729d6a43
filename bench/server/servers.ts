import fastifyPostgres from '@fastify/postgres'
import type { FastifyInstance } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import pg from 'pg'
import postgres from 'postgres'
import { BareSocket } from './bare-socket.js'

/** Connections that each of them may open. */
const CONNECTIONS = 15
const ITEMS = 1000
const FIVE = [1, 2, 3, 4, 5]

const text = 'select id, name from item where id = $1'
const someId = () => 1 + Math.floor(Math.random() * ITEMS)

/** What must be there before anything is measured. */
export const SCHEMA = `
  create table item (id integer primary key, name text not null);
  insert into item select n, 'item ' || n from generate_series(1, ${ITEMS}) as n;
  analyze item`

/**
 * The servers that are compared. Each adds routes: `/read`, one statement by key; `/transaction`, the same in a
 * transaction; `/five-reads`, five of them started together; and what only it can do.
 */
export const servers: Record<string, (app: FastifyInstance, url: string) => Promise<void>> = {
  '@fastify/postgres': async (app, url) => {
    await app.register(fastifyPostgres, { connectionString: url, max: CONNECTIONS })
    const read = async () => (await app.pg.query(text, [someId()])).rows[0]
    app.get('/read', read)
    app.get('/transaction', () =>
      app.pg.transact(async client => (await client.query(text, [someId()])).rows[0])
    )
    app.get('/five-reads', () => Promise.all(FIVE.map(read)))
  },

  'postgres.js': async (app, url) => {
    const sql = postgres(url, { max: CONNECTIONS })
    app.addHook('onClose', () => sql.end())
    const read = async () => (await sql`select id, name from item where id = ${someId()}`)[0]
    app.get('/read', read)
    app.get('/transaction', () =>
      sql.begin(async tx => (await tx`select id, name from item where id = ${someId()}`)[0])
    )
    app.get('/five-reads', () => Promise.all(FIVE.map(read)))
  },

  /** The limit of `pg` on this work: one client, pipelined, with a named statement. */
  'pg pipelined': async (app, url) => {
    const client = new pg.Client({ connectionString: url, pipeline: true })
    await client.connect()
    app.addHook('onClose', () => client.end())
    const read = async () =>
      (await client.query({ name: 'read', text, values: [someId()] })).rows[0]
    app.get('/read', read)
    app.get('/five-reads', () => Promise.all(FIVE.map(read)))
  },

  /**
   * The limit of `pg` where each request has a client to itself: no pool, no check, with a named statement. A transaction
   * in two round trips, which is only good for a limit: a failed BEGIN would let the statement be committed by itself.
   */
  'pg held': async (app, url) => {
    const clients = Array.from(
      { length: CONNECTIONS },
      () => new pg.Client({ connectionString: url, pipeline: true })
    )
    await Promise.all(clients.map(client => client.connect()))
    app.addHook('onClose', () => Promise.all(clients.map(client => client.end())))
    const hold = holder(clients)
    const read = async (client: pg.Client) =>
      (await client.query({ name: 'read', text, values: [someId()] })).rows[0]
    app.get('/read', () => hold(read))
    app.get('/transaction', () =>
      hold(async client => {
        const [, row] = await Promise.all([client.query('BEGIN'), read(client)])
        await client.query('COMMIT')
        return row
      })
    )
  },

  /** The limit of the machine on this work: what is left of the above where it is done without `pg`. */
  'socket held': async (app, url) => {
    const sockets = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => BareSocket.connect(url, text))
    )
    app.addHook('onClose', async () => {
      for (const socket of sockets) socket.end()
    })
    const hold = holder(sockets)
    app.get('/read', () => hold(socket => socket.read(someId())))
  },

  ours: (app, url) => addOurs(app, url, {}),
  'ours, no pre-ping': (app, url) => addOurs(app, url, { pool_pre_ping: false }),
  /** Verified at each checkout, as after a pause. */
  'ours, always cold': (app, url) => addOurs(app, url, { pool_pre_ping_window: 0 })
}

/** A pool without anything: lends one of them at a time to whoever came first. */
function holder<Held>(all: Held[]) {
  const idle = [...all]
  const waiting: ((one: Held) => void)[] = []
  return async (work: (one: Held) => Promise<unknown>): Promise<unknown> => {
    const one = idle.pop() ?? (await new Promise<Held>(take => waiting.push(take)))
    try {
      return await work(one)
    } finally {
      const next = waiting.shift()
      if (next) next(one)
      else idle.push(one)
    }
  }
}

async function addOurs(app: FastifyInstance, url: string, options: object): Promise<void> {
  const engineOptions = { pool_size: CONNECTIONS, max_overflow: 0, ...options }
  await app.register(dbPlugin, { url, engineOptions, env: {} })
  app.get('/read', async ({ db }) => (await db.query(text, [someId()])).rows[0])
  app.get('/app-read', async () => (await app.db.query(text, [someId()])).rows[0])
  app.get('/transaction', ({ db }) =>
    db.transaction(async tx => (await tx.query(text, [someId()])).rows[0])
  )
  app.get(
    '/route-transaction',
    { config: { db: { transaction: true } } },
    async ({ db }) => (await db.query(text, [someId()])).rows[0]
  )
  app.get('/five-reads', ({ db }) =>
    Promise.all(FIVE.map(async () => (await db.query(text, [someId()])).rows[0]))
  )
}
