import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { assertAnswered, type Expected, type Failing } from '../fixtures/http-ways.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

/** Few connections are all it takes. */
const postgres = await startPostgres(t, {
  max_connections: '8',
  superuser_reserved_connections: '0',
  max_wal_senders: '0'
})
const UNAVAILABLE: Expected = {
  code: 'FST_DB_UNAVAILABLE',
  status: 503,
  outcome: 'none',
  retryAfter: '1'
}
/** Nobody waits for a server that is away: the table is about what is told then. */
const FAIL_FAST = { recovery_timeout: 0 }
const AWAY = {
  url: 'postgres://hunter:xyzzy@127.0.0.1:1/secrets',
  engineOptions: FAIL_FAST
}

const use: Failing['handler'] = ({ db }) => db.query('insert into secrets values (1)')

t.test('the server has too many clients', async t => {
  const held: pg.Client[] = []
  const holdOne = async () => {
    const client = new pg.Client(postgres.url)
    await client.connect()
    held.push(client)
  }
  const holdAll = async () => {
    for (;;) await holdOne()
  }
  await t.rejects(holdAll(), { code: '53300' })
  await assertAnswered(
    t,
    { options: { url: postgres.url, engineOptions: FAIL_FAST }, handler: use },
    UNAVAILABLE
  )
  await Promise.all(held.map(client => client.end()))
})

t.test('it refuses connections', async t => {
  await assertAnswered(t, { options: AWAY, handler: use }, UNAVAILABLE)
})

t.test('so too for a request that does not write, and for a route transaction', async t => {
  await assertAnswered(t, { options: AWAY, method: 'GET', handler: use }, UNAVAILABLE)
  const config = { transaction: true }
  await assertAnswered(t, { options: AWAY, config, handler: use }, UNAVAILABLE)
})

t.test('its name cannot be resolved', async t => {
  const url = 'postgres://hunter:xyzzy@xyzzy.invalid/secrets'
  await assertAnswered(t, { options: { url, engineOptions: FAIL_FAST }, handler: use }, UNAVAILABLE)
})

t.test('it takes the connection and says nothing', async t => {
  const proxy = await startProxy(t, postgres)
  await proxy.blackhole()
  const options = {
    url: proxy.url(postgres.url),
    engineOptions: { ...FAIL_FAST, connect_timeout: 0.2 }
  }
  await assertAnswered(t, { options, handler: use }, UNAVAILABLE)
})

t.test('it is starting up, or shutting down', async t => {
  for (const message of [
    'the database system is starting up',
    'the database system is shutting down'
  ]) {
    const url = await startRefusing(t, '57P03', message)
    await assertAnswered(
      t,
      { options: { url, engineOptions: FAIL_FAST }, handler: use },
      UNAVAILABLE
    )
  }
})

t.test('no connection comes free in time', async t => {
  const engineOptions = { pool_size: 1, max_overflow: 0, pool_timeout: 0, close_timeout: 0.1 }
  const failing: Failing = {
    options: { url: postgres.url, engineOptions },
    before: app => app.db.connect(),
    handler: use
  }
  const expected = { ...UNAVAILABLE, code: 'FST_DB_POOL_TIMEOUT' }
  await assertAnswered(t, failing, expected)
})

t.test('too many wait for one already', async t => {
  const engineOptions = { pool_size: 1, max_overflow: 0, pool_max_waiting: 0, close_timeout: 0.1 }
  const failing: Failing = {
    options: { url: postgres.url, engineOptions },
    before: app => app.db.connect(),
    handler: use
  }
  await assertAnswered(t, failing, { ...UNAVAILABLE, code: 'FST_DB_OVERLOADED' })
})

/** A server that answers every login with a FATAL error; its URL. */
async function startRefusing(t: Test, code: string, message: string): Promise<string> {
  const fields = `SFATAL\0VFATAL\0C${code}\0M${message} at 127.0.0.1\0\0`
  const header = Buffer.from('E\0\0\0\0')
  header.writeInt32BE(4 + fields.length, 1)
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([header, Buffer.from(fields)])))
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `postgres://hunter:xyzzy@127.0.0.1:${(server.address() as AddressInfo).port}/secrets`
}
