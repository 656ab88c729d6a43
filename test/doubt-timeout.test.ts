import t from 'tap'
import { systemClock } from '../src/clock.js'
import { openClient } from './fixtures/open-client.js'
import { begin, end, openDoubt } from './fixtures/open-doubt.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProtocolProxy } from './fixtures/protocol-proxy.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int)')
const client = await openClient(t, postgres.url)
const evidence = await begin(client, 'insert into entries values (1)')
await end(client, 'COMMIT')

t.test('without any time left, nothing is asked and nothing known', async t => {
  for (const timeout of [0, -1]) {
    const { doubt, tries } = openDoubt(t, postgres.url, { timeout })
    t.equal(await doubt.resolve(evidence), 'unknown')
    t.equal(tries.count, 0)
  }
})

t.test('a server that stays away leaves it unknown, and no connect behind', async t => {
  const proxy = await startProxy(t, postgres)
  proxy.refuse()
  const { doubt, pool, tries } = openDoubt(t, proxy.url(postgres.url), { timeout: 200 })
  t.equal(await doubt.resolve(evidence), 'unknown')
  t.ok(tries.count > 0)
  t.match(pool.status(), { size: 0, waiting: 0, connecting: 0 })
})

t.test(
  'nobody is kept waiting for longer than the answer is needed',
  { timeout: 20_000 },
  async t => {
    const proxy = await startProxy(t, postgres)
    proxy.refuse()
    const { doubt, tries } = openDoubt(t, proxy.url(postgres.url))
    t.equal(await doubt.resolve(evidence, systemClock.now() + 200), 'unknown')
    t.ok(tries.count > 0)
    const before = tries.count
    t.equal(await doubt.resolve(evidence, systemClock.now() - 1), 'unknown')
    t.equal(tries.count, before)
  }
)

t.test('a server that takes connections and says nothing leaves it unknown', async t => {
  const proxy = await startProxy(t, postgres)
  await proxy.blackhole()
  const { doubt, pool } = openDoubt(t, proxy.url(postgres.url), { timeout: 200 })
  t.equal(await doubt.resolve(evidence), 'unknown')
  t.equal(pool.status().waiting, 0)
})

t.test(
  'a server that falls silent when it is asked leaves it unknown, and costs no slot',
  { timeout: 20_000 },
  async t => {
    const proxy = await startProtocolProxy(t, postgres)
    proxy.proxy.onConnection(() => {
      const conversation = proxy.conversations.at(-1)
      conversation?.at(
        { way: 'toServer', side: 'before', message: ({ name }) => name === 'Parse' },
        () => conversation.connection.freeze()
      )
    })
    const { doubt, pool } = openDoubt(t, proxy.proxy.url(postgres.url), { timeout: 500 })
    t.equal(await doubt.resolve(evidence), 'unknown')
    await until(() => pool.status().checkedOut === 0)
  }
)

t.test('where every client is in use it waits for one, and no longer than it may', async t => {
  const { doubt, pool } = openDoubt(t, postgres.url, { timeout: 200, options: { poolSize: 1 } })
  const lease = await pool.checkout()
  t.equal(await doubt.resolve(evidence), 'unknown')
  t.equal(pool.status().waiting, 0)
  pool.checkin(lease)
  const patient = openDoubt(t, postgres.url, { options: { poolSize: 1 } })
  const held = await patient.pool.checkout()
  const resolving = patient.doubt.resolve(evidence)
  t.equal(patient.pool.status().waiting, 1)
  patient.pool.checkin(held)
  t.equal(await resolving, 'committed')
})

t.test(
  'where the pool has been closed nothing is known, and nothing waited for',
  { timeout: 20_000 },
  async t => {
    const { doubt, pool } = openDoubt(t, postgres.url)
    await pool.close(0)
    t.equal(await doubt.resolve(evidence), 'unknown')
  }
)

t.test('a role that may not end the backend leaves it unknown, and never rejects', async t => {
  await postgres.admin(`create role humble login password 'humble'`)
  const holder = await openClient(t, postgres.url)
  const open = await begin(holder, 'insert into entries values (2)')
  const url = new URL(postgres.url)
  url.username = 'humble'
  url.password = 'humble'
  t.equal(await openDoubt(t, url.href, { timeout: 1000 }).doubt.resolve(open), 'unknown')
  await end(holder, 'COMMIT')
  t.equal(await openDoubt(t, url.href).doubt.resolve(open), 'committed')
})
