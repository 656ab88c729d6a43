import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

async function listen(app: Awaited<ReturnType<typeof buildApp>>): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  return address.port
}

/** Sends a request, and leaves when told to. */
async function ask(port: number, request: string) {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(request)
  return { leave: () => socket.destroy() }
}

function untilIdle(app: Awaited<ReturnType<typeof buildApp>>): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      const { checkedOut, waiting } = app.db.status()
      if (checkedOut === 0 && waiting === 0) resolve()
      else setImmediate(look)
    }
    look()
  })
}

t.test(
  'R16: a client that leaves while a statement runs loses no slot, for GET and for POST',
  async t => {
    const app = await buildApp(t, { url: named(postgres.url, 'leave') }, app => {
      const handler = async (request: { db: (typeof app)['db'] }) => {
        await request.db.query("select pg_sleep(60), 'here'")
        return {}
      }
      app.get('/', request => handler(request as never))
      app.post('/', request => handler(request as never))
    })
    const port = await listen(app)
    const head = 'HTTP/1.1\r\nHost: x\r\n'
    const body = '{"a":1}'
    const requests = [
      `GET / ${head}\r\n`,
      `POST / ${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    ]
    for (const request of requests) {
      const client = await ask(port, request)
      const [running] = await postgres.untilBackends({
        applicationName: 'leave',
        where: "query like '%here%' and state = 'active'"
      })
      client.leave()
      await postgres.admin('select pg_cancel_backend($1)', [running?.pid])
      await untilIdle(app)
      t.equal(app.db.status().checkedOut, 0)
    }
    t.ok(app.db.status().size <= 1, 'the client went back, and served again')
  }
)

t.test('X18: a request whose client leaves stops waiting for a connection', async t => {
  const app = await buildApp(t, {
    url: postgres.url,
    engineOptions: { pool_size: 1, max_overflow: 0 }
  })
  const port = await listen(app)
  const held = await app.db.connect()
  const client = await ask(port, 'GET /pid HTTP/1.1\r\nHost: x\r\n\r\n')
  await new Promise<void>(resolve => {
    const look = () => (app.db.status().waiting === 1 ? resolve() : setImmediate(look))
    look()
  })
  client.leave()
  await new Promise<void>(resolve => {
    const look = () => (app.db.status().waiting === 0 ? resolve() : setImmediate(look))
    look()
  })
  held.release()
  await untilIdle(app)
  t.equal(app.db.status().checkedOut, 0)
})

t.test('X52: what a request left uncommitted when its client left is rolled back', async t => {
  await postgres.admin('create table left_behind (id int)')
  const app = await buildApp(t, { url: named(postgres.url, 'uncommitted') }, app => {
    app.post('/', async request => {
      await request.db.query('begin')
      await request.db.query('insert into left_behind values (1)')
      await request.db.query("select pg_sleep(60), 'holding'")
      return {}
    })
  })
  const port = await listen(app)
  const client = await ask(port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n')
  const [running] = await postgres.untilBackends({
    where: "query like '%holding%' and state = 'active'"
  })
  client.leave()
  await postgres.admin('select pg_cancel_backend($1)', [running?.pid])
  await untilIdle(app)
  t.same(await postgres.admin('select * from left_behind'), [])
  const backends = await postgres.backends({ applicationName: 'uncommitted' })
  t.ok(backends.every(({ state }) => state === 'idle'))
})
