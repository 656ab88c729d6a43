import { Socket } from 'node:net'
import pg from 'pg'
import t from 'tap'
import {
  clientConfig,
  pgUrlFault,
  SessionClient,
  sessionParameters
} from '../../src/client/config.js'
import { engineOptionsSchema } from '../../src/options.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { recordStatements } from '../fixtures/wire.js'

const postgres = await startPostgres(t)
const options = engineOptionsSchema.parse

t.test('the installed pg has the member that carries settings to the startup message', async t => {
  t.type(
    Reflect.get(pg.Client.prototype, 'getStartupConf'),
    'function',
    'pg.Client.getStartupConf is undocumented: without it isolation_level is not sent'
  )
  const client = new SessionClient(
    { connectionString: 'postgres://me@host/db?application_name=app&options=-c%20work_mem=64kB' },
    { default_transaction_isolation: 'serializable' }
  )
  t.same(client.getStartupConf(), {
    user: 'me',
    database: 'db',
    application_name: 'app',
    options: '-c work_mem=64kB',
    default_transaction_isolation: 'serializable'
  })
})

t.test('settings of the session cost no statement and survive RESET ALL', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const parameters = sessionParameters(options({ isolation_level: 'REPEATABLE READ' }))
  const client = await openClient(t, proxy.url(postgres.url), { parameters })
  t.same(statements, [])
  const isolation = async () =>
    (await run(client, 'show transaction_isolation')).rows[0].transaction_isolation
  t.equal(await isolation(), 'repeatable read')
  await run(client, "set default_transaction_isolation = 'serializable'")
  t.equal(await isolation(), 'serializable')
  await run(client, 'reset all')
  t.equal(await isolation(), 'repeatable read')
  await run(client, 'discard all')
  t.equal(await isolation(), 'repeatable read')
})

t.test("a default gives way to what the application's own options say of it", async t => {
  const interval = { client_connection_check_interval: '2000' }
  const shown = async (options: string) => {
    const url = new URL(postgres.url)
    url.searchParams.set('options', options)
    const raw = new SessionClient({ connectionString: url.href }, {}, interval)
    await raw.connect()
    t.teardown(() => raw.end())
    const { rows } = await raw.query('show client_connection_check_interval')
    return rows[0].client_connection_check_interval
  }
  t.equal(await shown('-c work_mem=64kB'), '2s')
  t.equal(await shown('-c client_connection_check_interval=5s'), '5s')
})

t.test('without an isolation level nothing is sent: the server has its own', t => {
  t.same(sessionParameters(options({})), {})
  t.end()
})

t.test('connect_args reach pg.Client untouched, and the URL wins over them', t => {
  const types = { getTypeParser: () => String }
  const { connect_args } = options({ connect_args: { types, host: 'elsewhere', ssl: false } })
  const config = clientConfig('postgres://me@here:1/db', options({ connect_args }))
  t.equal(config.types, types)
  const client = new pg.Client(config)
  t.match(client, { host: 'here', port: 1, user: 'me', database: 'db' })
  t.end()
})

t.test('E37: a password function is asked for each session, if the URL has none', async t => {
  const url = new URL(postgres.url)
  const { password } = url
  url.password = ''
  let asked = 0
  const config = {
    password: async () => {
      asked += 1
      return password
    }
  }
  await openClient(t, url.href, { config })
  await openClient(t, url.href, { config })
  t.equal(asked, 2)
  await openClient(t, postgres.url, { config: { password: 'not this one' } })
  const broken = { password: () => Promise.reject(new Error('No token')) }
  await t.rejects(openClient(t, url.href, { config: broken }), { message: 'No token' })
})

t.test('TCP keepalive is on, unless connect_args say otherwise', async t => {
  const asked: unknown[][] = []
  class Spied extends Socket {
    override setKeepAlive(...args: [boolean?, number?]): this {
      asked.push(args)
      return super.setKeepAlive(...args)
    }
  }
  const connect = (args: object) => {
    const config = clientConfig(
      postgres.url,
      options({ connect_args: { stream: () => new Spied(), ...args } })
    )
    return openClient(t, postgres.url, { config })
  }
  await connect({})
  t.equal(asked[0]?.[0], true)
  await connect({ keepAlive: true, keepAliveInitialDelayMillis: 1000 })
  t.same(asked[1], [true, 1000])
  await connect({ keepAlive: false })
  t.equal(asked.length, 2)
})

t.test('a URL that pg cannot use is a fault, without the URL', t => {
  t.equal(pgUrlFault(postgres.url, {}), undefined)
  const stream = () => t.fail('no socket is made')
  t.equal(pgUrlFault(postgres.url, { stream, host: 'elsewhere' }), undefined)
  const several = 'several hosts, which pg does not support'
  const urls: [string, string][] = [
    ['postgres://user:s3cret@alpha,beta/db', several],
    ['postgres://user:s3cret@alpha:5432,beta:5432/db', 'one that pg cannot use (ERR_INVALID_URL)'],
    ['postgres://user:s3cret@host:port/db', 'one that pg cannot use (ERR_INVALID_URL)'],
    [
      'postgres://user:s3cret@host/db?sslmode=verify-full&sslrootcert=/no/such/s3cret',
      'one that pg cannot use (ENOENT)'
    ]
  ]
  for (const [url, fault] of urls) t.equal(pgUrlFault(url, {}), fault)
  t.end()
})
