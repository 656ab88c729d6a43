import { once } from 'node:events'
import { connect } from 'node:net'
import v8 from 'node:v8'
import vm from 'node:vm'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import QueryStream from 'pg-query-stream'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { listen } from '../fixtures/http-client.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

/** Five times as many by `npm run test:races`. */
const REQUESTS = Number(process.env.ABORTED_REQUESTS ?? 2000)
const CLIENTS = 16
/** How long a client may stay, in turns of the event loop: from before it is served to after. */
const TURNS = 40
/** Of the heap between the first half and the second, in bytes: what a leak of 1 kB a request would exceed at 10,000. */
const MEMORY = 4_000_000

const postgres = await startPostgres(t)
await postgres.admin('create table entries (at timestamptz default now())')

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

const INSERT = 'insert into entries default values'
const transaction = { config: { db: { transaction: true } } }

/** Statements that never end by themselves, among them: whoever is not cancelled is found. */
const KINDS: Record<string, { method: string; options?: object; handler: Handler }> = {
  '/sleep': { method: 'GET', handler: async ({ db }) => db.query('select pg_sleep(600)') },
  '/read': { method: 'GET', handler: async ({ db }) => (await db.query('select 1')).rows },
  '/write': { method: 'POST', handler: async ({ db }) => (await db.query(INSERT)).rowCount },
  '/transaction': {
    method: 'POST',
    handler: async ({ db }) =>
      db.transaction(async tx => {
        await tx.query(INSERT)
        await tx.query('select pg_sleep(0.001)')
        return { count: (await tx.query(INSERT)).rowCount }
      })
  },
  '/route': {
    method: 'POST',
    options: transaction,
    handler: async ({ db }) => ({ count: (await db.query(INSERT)).rowCount })
  },
  '/query-stream': {
    method: 'GET',
    handler: async ({ db }, reply) => {
      const text = `select repeat('x', 1000) part, pg_sleep(0.0001) from generate_series(1, 100000)`
      const rows = db.query(new QueryStream(text, [], { batchSize: 10 }))
      return reply.send(rows.map(({ part }: { part: string }) => part))
    }
  },
  '/together': {
    method: 'GET',
    handler: async ({ db }) =>
      Promise.all([db.query('select 1'), db.query('select pg_sleep(600)'), db.query('select 2')])
  }
}
const PATHS = Object.keys(KINDS)

function addRoutes(app: FastifyInstance): void {
  for (const [url, { handler, method, options }] of Object.entries(KINDS)) {
    app.route({ url, method, ...options, handler } as never)
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(resolve => setImmediate(resolve))
}

/** Asks, and leaves at some moment. */
async function askAndLeave(port: number, path: string, stay: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {}).resume()
  await once(socket, 'connect')
  socket.write(`${KINDS[path]?.method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
  await turns(stay)
  socket.destroy()
}

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc') as () => void

/** What is in use when all is quiet. */
async function heap(): Promise<number> {
  await turns(10)
  collectGarbage()
  await turns(10)
  collectGarbage()
  return process.memoryUsage().heapUsed
}

t.test(`${REQUESTS} requests whose clients leave, of all kinds, leave nothing behind`, async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))

  const applicationName = 'aborted'
  const app = await buildApp(t, { url: named(postgres.url, applicationName) }, addRoutes)
  const port = await listen(app)
  const lent = { checkouts: 0, checkins: 0 }
  app.db.on('checkout', () => (lent.checkouts += 1))
  app.db.on('checkin', () => (lent.checkins += 1))

  const leaveAll = async (count: number) => {
    let left = count
    const client = async () => {
      while (left > 0) {
        left -= 1
        await askAndLeave(port, PATHS[left % PATHS.length] as string, Math.random() * TURNS)
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    await until(() => {
      const { checkedOut, connecting, waiting } = app.db.status()
      return checkedOut + connecting + waiting === 0
    })
    const busy = await postgres.backends({ applicationName, where: "state <> 'idle'" })
    t.strictSame(busy, [], 'no statement goes on')
    return heap()
  }

  // What grows once, has grown by then.
  await leaveAll(Math.ceil(REQUESTS / 10))
  const before = await leaveAll(Math.ceil(REQUESTS / 2))
  const after = await leaveAll(Math.floor(REQUESTS / 2))
  const { counters } = app.db.status()
  t.comment(JSON.stringify({ ...lent, connects: counters.connects, before, after }))
  t.equal(lent.checkins, lent.checkouts)
  t.ok(after - before < MEMORY, `${after - before} bytes more`)
  t.strictSame(unhandled, [])
  for (const path of ['/read', '/write', '/transaction', '/route']) {
    const answer = await app.inject({ method: KINDS[path]?.method as 'GET', url: path })
    t.equal(answer.statusCode, 200, path)
  }
})
