import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import QueryStream from 'pg-query-stream'
import t, { type Test } from 'tap'
import { loopTurn } from '../../src/loop-time.js'
import { buildApp, named } from '../fixtures/app.js'
import {
  http1,
  http2c,
  injected,
  type Seen,
  type Transport,
  trackInjected
} from '../fixtures/http-transports.js'
import { until } from '../fixtures/open-engine.js'
import { type BackendFilter, startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (at timestamptz default now())')

/**
 * What goes wrong: the client leaves before the first statement, or in the middle of one; the session is killed before
 * the request, or in the middle of a statement.
 */
const FAULTS = ['none', 'left before', 'left mid', 'killed before', 'killed mid'] as const
type Fault = (typeof FAULTS)[number]

/** How a request is answered. */
interface Kind {
  readonly method?: 'GET' | 'HEAD' | 'POST'
  readonly path: string
  /** What the client sees if all goes well. */
  readonly status: number
  /** … and if the session is killed in the middle of a statement; otherwise it gets a 503. */
  readonly killed?: 'broken'
}

const KINDS: Record<string, Kind> = {
  JSON: { path: '/json', status: 200 },
  'JSON in a transaction of the route': { method: 'POST', path: '/route', status: 201 },
  'JSON after transaction(fn)': { method: 'POST', path: '/transaction', status: 201 },
  HEAD: { method: 'HEAD', path: '/json', status: 200 },
  'a stream': { path: '/stream', status: 200, killed: 'broken' },
  'a stream in a transaction of the route': {
    method: 'POST',
    path: '/stream',
    status: 200,
    killed: 'broken'
  },
  'a query stream': { path: '/query-stream', status: 200, killed: 'broken' },
  'a web stream': { path: '/web-stream', status: 200, killed: 'broken' },
  'no content': { method: 'POST', path: '/no-content', status: 204 },
  'no content and a stream': { method: 'POST', path: '/no-content-stream', status: 204 },
  'a hijacked reply': { path: '/hijacked', status: 200 },
  'a redirect': { path: '/redirect', status: 302 },
  'not found': { path: '/not-found', status: 404 },
  'an error of the handler': { path: '/thrown', status: 418 },
  'an error of the server': { path: '/refused', status: 500 },
  'the time limit of the handler': { path: '/late', status: 503 }
}

const SLEEPING = "select pg_sleep(600), 'mid'"
/** With handlers that wait until their client has left: called when one does. */
let onWaiting = () => {}

function faultOf({ query }: FastifyRequest): Fault {
  return (query as { fault: Fault }).fault
}

/** What every handler does first. */
async function work(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const fault = faultOf(request)
  if (fault === 'left before') {
    const left = new Promise(resolve => reply.raw.once('close', resolve))
    onWaiting()
    await left
  }
  await request.db.query(fault.endsWith('mid') ? SLEEPING : "select 'fine'")
}

async function* lines(request: FastifyRequest, reply: FastifyReply) {
  if (faultOf(request) !== 'left before') await request.db.query("select 'first'")
  yield 'first\n'
  yield 'second\n'
  await work(request, reply)
  yield 'third\n'
}

/** Of a body, in bytes. */
const LARGE = 20_000_000

const ROUTE = { config: { db: { transaction: true } } }

function addRoutes(app: FastifyInstance): void {
  trackInjected(app)
  void app.register(fastifyWebsocket)
  app.after(() => {
    app.get('/websocket', { websocket: true }, async (socket, request) => {
      try {
        await request.db.query(faultOf(request) === 'none' ? "select 'fine'" : SLEEPING)
        socket.send('fine')
      } catch (error) {
        socket.send((error as { code: string }).code, () => socket.terminate())
      }
    })
  })
  app.get('/json', async (request, reply) => {
    await work(request, reply)
    return { fine: true }
  })
  app.post('/route', ROUTE, async (request, reply) => {
    await work(request, reply)
    await request.db.query('insert into entries default values')
    return reply.code(201).send({ fine: true })
  })
  app.post('/transaction', async (request, reply) => {
    await request.db.transaction(async tx => {
      await tx.query('insert into entries default values')
      await work(request, reply)
    })
    return reply.code(201).send({ fine: true })
  })
  app.get('/stream', (request, reply) => {
    reply.send(Readable.from(lines(request, reply)))
  })
  app.post('/stream', ROUTE, (request, reply) => {
    reply.send(Readable.from(lines(request, reply)))
  })
  app.get('/web-stream', (request, reply) => {
    reply.send(Readable.toWeb(Readable.from(lines(request, reply)).map(Buffer.from)))
  })
  app.get('/query-stream', async (request, reply) => {
    const isMid = faultOf(request).endsWith('mid')
    if (faultOf(request) === 'left before') await work(request, reply)
    const text = `select id, case when $1 and id > 2 then pg_sleep(600)::text end, 'mid'
      from generate_series(1, 5) id`
    const rows = request.db.query(new QueryStream(text, [isMid], { batchSize: 2 }))
    return reply.send(rows.map(row => `${JSON.stringify(row)}\n`))
  })
  app.get('/large', (request, reply) => {
    const text = `select repeat('x', ${LARGE / 200}) part from generate_series(1, 200)`
    const rows = request.db.query(new QueryStream(text, [], { batchSize: 10 }))
    reply.send(rows.map(({ part }: { part: string }) => part))
  })
  app.post('/no-content', ROUTE, async (request, reply) => {
    await work(request, reply)
    return reply.code(204).send()
  })
  app.post('/no-content-stream', ROUTE, (request, reply) => {
    reply.code(204).send(Readable.from(lines(request, reply)))
  })
  app.get('/hijacked', async (request, reply) => {
    reply.hijack()
    try {
      await work(request, reply)
      reply.raw.end('fine')
    } catch (error) {
      reply.raw.statusCode = (error as { statusCode: number }).statusCode
      reply.raw.end('failed')
    }
  })
  app.get('/redirect', async (request, reply) => {
    await work(request, reply)
    return reply.redirect('/json')
  })
  app.get('/not-found', async (request, reply) => {
    await work(request, reply)
    return reply.callNotFound()
  })
  app.get('/thrown', async (request, reply) => {
    await work(request, reply)
    throw Object.assign(new Error('of the handler'), { statusCode: 418 })
  })
  app.get('/refused', async (request, reply) => {
    await work(request, reply)
    await request.db.query('select 1 / 0')
  })
  app.get<{ Querystring: { fault: Fault } }>(
    '/late',
    { handlerTimeout: 200 },
    async (request, reply) => {
      if (request.query.fault.startsWith('left') || request.query.fault === 'killed mid') {
        await work(request, reply)
      } else await request.db.query(SLEEPING)
    }
  )
}

interface Counts {
  checkouts: number
  checkins: number
}

/** An app of its own for each transport, so that whatever one cell leaves behind is met by the next. */
async function open(t: Test, applicationName: string, server: { http2?: boolean } = {}) {
  const options = {
    url: named(postgres.url, applicationName),
    // What goes on for a client that has left would sleep for as long as it may.
    onAbort: 'cancel' as const,
    engineOptions: { pool_size: 2, max_overflow: 0 }
  }
  const app = await buildApp(t, options, addRoutes, server)
  const counts: Counts = { checkouts: 0, checkins: 0 }
  app.db.on('checkout', () => (counts.checkouts += 1))
  app.db.on('checkin', () => (counts.checkins += 1))
  return { app, counts, mid: { applicationName, where: "wait_event = 'PgSleep'" } }
}

/** Asks, has the fault happen, and gives what the client has seen. */
async function provoke(
  transport: Transport,
  { method = 'GET', path }: Kind,
  fault: Fault,
  mid: BackendFilter
): Promise<Seen> {
  const waiting = new Promise<void>(resolve => (onWaiting = resolve))
  if (fault === 'killed before') {
    await postgres.terminateBackends({ ...mid, where: 'true' })
    // Until it is read that they are gone, one may be lent; a cursor is not run again.
    await loopTurn()
  }
  const asked = transport.ask(`${path}?fault=${encodeURIComponent(fault)}`, { method })
  if (fault === 'left before') await waiting
  if (fault.endsWith('mid')) await postgres.untilBackends(mid)
  if (fault.startsWith('left')) asked.leave()
  if (fault === 'killed mid') await killUntil(asked.seen, mid)
  return asked.seen
}

/** Also what is run again, because it is known to have left nothing. */
async function killUntil(seen: Promise<Seen>, mid: BackendFilter): Promise<void> {
  let isAnswered = false
  const answered = seen.then(() => {
    isAnswered = true
  })
  do await postgres.terminateBackends(mid)
  while (!isAnswered)
  await answered
}

/** One that a client has seen to its end, or at all. */
function assertSeen(t: Test, { killed, status }: Kind, fault: Fault, seen: Seen): void {
  if (fault.startsWith('left')) return
  if (fault !== 'killed mid') t.match(seen, { statusCode: status, isComplete: true })
  else if (killed === 'broken') t.equal(seen.isComplete, false)
  else t.match(seen, { statusCode: 503, isComplete: true })
}

/** Nothing is lent, waited for or being connected. */
async function untilIdle({ db }: FastifyInstance): Promise<void> {
  await until(() => {
    const { checkedOut, connecting, waiting } = db.status()
    return checkedOut + connecting + waiting === 0
  })
}

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))

const TRANSPORTS = {
  'HTTP/1.1': { reach: http1, server: {} },
  'HTTP/2': { reach: http2c, server: { http2: true } },
  inject: { reach: injected, server: {} }
}

for (const [way, { reach, server }] of Object.entries(TRANSPORTS)) {
  for (const [name, kind] of Object.entries(KINDS)) {
    t.test(`${way}: ${name}: one checkin for each checkout, whatever goes wrong`, async t => {
      const { app, counts, mid } = await open(t, `${way} ${name}`.slice(0, 60), server)
      const transport = await reach(app)
      for (const fault of FAULTS) {
        await t.test(fault, async t => {
          assertSeen(t, kind, fault, await provoke(transport, kind, fault, mid))
          await untilIdle(app)
          t.equal(counts.checkins, counts.checkouts)
          t.strictSame(await postgres.backends({ ...mid, where: "state <> 'idle'" }), [])
        })
      }
      t.ok(counts.checkouts > 0)
      t.strictSame(unhandled, [])
      await transport.close()
    })
  }
}

for (const [way, reach] of Object.entries({ 'HTTP/1.1': http1, 'HTTP/2': http2c })) {
  const server = way === 'HTTP/2' ? { http2: true } : {}

  t.test(
    `${way}: a slow reader of a query stream has the connection as long as it reads`,
    async t => {
      const { app, counts, mid } = await open(t, `${way} slow`, server)
      const transport = await reach(app)
      let lent = 0
      const onFirst = async () => {
        // Far more than sockets take: what is not read is not fetched.
        await postgres.untilBackends({ ...mid, where: "wait_event = 'ClientRead'" })
        lent = app.db.status().checkedOut
      }
      const { body, isComplete } = await transport.ask('/large', { method: 'GET', onFirst }).seen
      t.match({ isComplete, lent }, { isComplete: true, lent: 1 })
      t.equal(body.length, LARGE)
      await untilIdle(app)
      t.equal(counts.checkins, counts.checkouts)
      await transport.close()
    }
  )

  t.test(`${way}: one that leaves while it is slow, leaves no statement behind`, async t => {
    const { app, counts, mid } = await open(t, `${way} leaves`, server)
    const transport = await reach(app)
    const never = new Promise<void>(() => {})
    const leaving = new Promise<void>(resolve => {
      const asked = transport.ask('/large', {
        method: 'GET',
        onFirst: () => {
          asked.leave()
          resolve()
          return never
        }
      })
    })
    await leaving
    await untilIdle(app)
    t.equal(counts.checkins, counts.checkouts)
    t.match(app.db.status(), { size: 1, idle: 1 })
    t.strictSame(await postgres.backends({ ...mid, where: "state <> 'idle'" }), [])
    await transport.close()
  })
}

t.test('a websocket has the connection until it is closed, whatever goes wrong', async t => {
  for (const fault of ['none', 'left mid', 'killed mid'] as const) {
    const { app, counts, mid } = await open(t, `websocket ${fault}`)
    const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
    const socket = connect(Number(port), '127.0.0.1')
    const closed = once(socket, 'close')
    let received = ''
    socket.setEncoding('latin1').on('data', chunk => (received += chunk))
    socket.write(
      `GET /websocket?fault=${encodeURIComponent(fault)} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n` +
        `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${btoa('0123456789abcdef')}\r\n\r\n`
    )
    if (fault === 'none') {
      await until(() => received.endsWith('fine'))
      t.equal(app.db.status().checkedOut, 1, 'it may be used again')
      socket.destroy()
    } else {
      const running = await postgres.untilBackends(mid)
      t.equal(running.length, 1)
      if (fault === 'left mid') socket.destroy()
      else await postgres.terminateBackends(mid)
    }
    await closed
    t.match(received, /^HTTP\/1\.1 101 /)
    if (fault === 'killed mid') t.match(received, /FST_DB_[A-Z_]+$/)
    await untilIdle(app)
    t.equal(counts.checkins, counts.checkouts)
    t.strictSame(await postgres.backends({ ...mid, where: "state <> 'idle'" }), [])
  }
  t.strictSame(unhandled, [])
})
