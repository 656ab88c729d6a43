import { once } from 'node:events'
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t, { max_connections: '20' })

t.test('admin survives restarts and is in no list', async t => {
  await postgres.admin('select 1')
  for (const mode of ['fast', 'immediate'] as const) {
    await postgres.restart(mode)
    t.match(await postgres.admin('show max_connections'), [{ max_connections: '20' }])
  }
  await postgres.admin('select pg_terminate_backend(pg_backend_pid())').catch(() => {})
  t.strictSame(await postgres.backends(), [])
  await t.rejects(postgres.admin('select nonsense'), { code: '42703' })
  t.match(await postgres.admin('select $1::int as n', [1]), [{ n: 1 }])
})

t.test('each database is new, and shown with its backends', async t => {
  const [one, two] = [await postgres.createDatabase(), await postgres.createDatabase()]
  t.not(one, two)
  const client = await connectClient(t, one, 'reader')
  const { rows } = await client.query(
    'select pg_backend_pid() as pid, current_database() as datname'
  )
  t.match(await postgres.backends({ applicationName: 'reader' }), rows)
  t.strictSame(
    await postgres.backends({ applicationName: 'reader', where: `state = 'active'` }),
    []
  )
  t.match(await postgres.backends({ pids: [rows[0].pid] }), rows)
})

t.test('terminated backends are gone, and only they', async t => {
  const victim = await connectClient(t, postgres.url, 'victim')
  const other = await connectClient(t, postgres.url, 'other')
  const fatal = once(victim, 'error')
  t.equal((await postgres.terminateBackends({ applicationName: 'victim' })).length, 1)
  t.match(await postgres.backends(), [{ application_name: 'other' }])
  t.match(await fatal, [{ code: '57P01' }])
  t.match(await other.query('select 1'), { rowCount: 1 })
  t.strictSame(await postgres.terminateBackends({ applicationName: 'nobody' }), [])
})

t.test('a frozen backend answers when it is thawed', async t => {
  const client = await connectClient(t, postgres.url, 'frozen')
  const { rows } = await client.query('select pg_backend_pid() as pid')
  postgres.freeze(rows[0].pid)
  const answer = client.query('select 1').then(() => 'answer')
  const others = postgres.admin('select 1').then(() => 'somebody else')
  t.equal(await Promise.race([answer, others]), 'somebody else')
  postgres.thaw(rows[0].pid)
  t.equal(await answer, 'answer')
})

t.test('a statement can be waited for', async t => {
  const client = await connectClient(t, postgres.url, 'sleeper')
  const sleep = client.query('select pg_sleep(1000)')
  // The two are not reported as one.
  const where = `wait_event = 'PgSleep' and state = 'active'`
  const [backend] = await postgres.untilBackends({ where })
  t.match(backend, { application_name: 'sleeper' })
  await Promise.all([postgres.terminateBackends(), t.rejects(sleep, { code: '57P01' })])
})

t.test('is removed though a backend is frozen', async t => {
  const own = await startPostgres({ teardown: () => {} })
  const client = await connectClient(t, own.url, 'frozen')
  const { rows } = await client.query('select pg_backend_pid() as pid')
  own.freeze(rows[0].pid)
  await own.remove()
  await t.rejects(own.admin('select 1'), { code: 'ECONNREFUSED' })
})

t.test('can be reached through a proxy', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await connectClient(t, proxy.url(await postgres.createDatabase()), 'proxied')
  const { rows } = await client.query(`select repeat('x', 5000000) as long`)
  t.equal(rows[0].long.length, 5_000_000)
  t.equal(proxy.connections().length, 1)
  t.equal(proxy.connects, 1)
  t.ok(proxy.bytes.toClient > 5_000_000 && proxy.bytes.toServer < 5_000)

  const lost = once(client, 'error')
  proxy.cut('rst')
  t.match(await lost, [{ code: 'ECONNRESET' }])
})

async function connectClient(t: Test, url: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  return client
}
