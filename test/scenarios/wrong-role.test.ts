import t from 'tap'
import { openEngine, servedBy, until } from '../fixtures/open-engine.js'
import { startPostgres, type TestPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { startStandby } from '../fixtures/standby.js'

const primary = await startPostgres(t)
await primary.admin('create table notes (id int)')
const standby = await startStandby(t, primary)
await standby.untilCaughtUp(primary)

async function setReadOnly(server: TestPostgres, isReadOnly: boolean): Promise<void> {
  await server.admin(`alter system set default_transaction_read_only = ${isReadOnly}`)
  await server.admin('select pg_reload_conf()')
}

/** Resolves when sessions of the server are told: every backend has read its configuration. */
async function untilTold(server: TestPostgres, isReadOnly: boolean): Promise<void> {
  const text = 'show default_transaction_read_only'
  const is = isReadOnly ? 'on' : 'off'
  for (;;) {
    const [row] = await server.admin<{ default_transaction_read_only: string }>(text)
    if (row?.default_transaction_read_only === is) return
  }
}

t.test('a session that reads is told that its server takes no more writes', async t => {
  const proxy = await startProxy(t, primary)
  const { engine } = openEngine(t, proxy.url(primary.url))
  const generations: unknown[] = []
  engine.on('generation', ({ error }) => generations.push(error))
  const before = await servedBy(engine)
  t.teardown(() => setReadOnly(primary, false))
  await setReadOnly(primary, true)
  await untilTold(primary, true)
  // Whoever holds the name now takes writes.
  proxy.target = { host: standby.host, port: standby.port }
  while (generations.length === 0) await servedBy(engine)
  t.match(generations, [{ name: 'NoMoreWritesError' }])
  const after = await engine.query('select pg_backend_pid() pid, pg_is_in_recovery() is_standby')
  t.match(after.rows, [{ is_standby: true }], 'the next checkout goes by the name again')
  t.not(after.rows[0]?.pid, before)
  t.equal(engine.status().generation, 1)
})

t.test('a ping tells it before a client is lent', async t => {
  await setReadOnly(primary, false)
  await untilTold(primary, false)
  const proxy = await startProxy(t, primary)
  const { engine } = openEngine(t, proxy.url(primary.url), { pool_pre_ping_window: 0 })
  await servedBy(engine)
  t.teardown(() => setReadOnly(primary, false))
  await setReadOnly(primary, true)
  await untilTold(primary, true)
  proxy.target = { host: standby.host, port: standby.port }
  await until(() => engine.status().idle === 1)
  let isStandby = false
  while (!isStandby) {
    const { rows } = await engine.query('select pg_is_in_recovery() is_standby')
    isStandby = rows[0]?.is_standby === true
  }
  t.equal(engine.status().generation, 1)
})

t.test(
  "the application's own SET raises nothing, and its refused write is its own affair",
  async t => {
    await setReadOnly(primary, false)
    await untilTold(primary, false)
    const { engine } = openEngine(t, primary.url)
    await using connection = await engine.connect()
    await connection.query('set default_transaction_read_only = on')
    await t.rejects(connection.query('insert into notes values (1)'), { code: '25006' })
    await connection.query('begin')
    await connection.query('set local default_transaction_read_only = off')
    await connection.query('rollback')
    await connection.query('select 1')
    await connection.query('set default_transaction_read_only = off; select 1')
    await connection.query('insert into notes values (1)')
    const raw = connection.client ? await connection.client() : undefined
    await raw?.query('set default_transaction_read_only = on')
    t.equal(engine.status().generation, 0)
  }
)

t.test('an engine for a standby works, and a write by mistake replaces nothing', async t => {
  const { engine } = openEngine(t, standby.url)
  const before = await servedBy(engine)
  await t.rejects(engine.query('insert into notes values (1)'), { code: 'FST_DB_READ_ONLY' })
  t.equal(await servedBy(engine), before)
  t.equal(engine.status().generation, 0)
})

t.test('one for a writer that was led to a standby gives up only who met it', async t => {
  const proxy = await startProxy(t, primary)
  const { engine } = openEngine(t, proxy.url(primary.url))
  await engine.query('insert into notes values (1)')
  engine.invalidate()
  proxy.target = { host: standby.host, port: standby.port }
  const onStandby = await servedBy(engine)
  t.equal(await servedBy(engine), onStandby, 'for reads it does')
  proxy.target = { host: primary.host, port: primary.port }
  await t.rejects(engine.query('insert into notes values (1)'), { code: 'FST_DB_READ_ONLY' })
  await engine.query('insert into notes values (1)')
  t.equal(engine.status().generation, 1, 'that of the test itself')
})

t.test('a standby that is promoted under its sessions takes their writes', async t => {
  const { engine } = openEngine(t, standby.url)
  const before = await servedBy(engine)
  await standby.promote()
  await engine.query('insert into notes values (1)')
  t.equal(await servedBy(engine), before)
  t.equal(engine.status().generation, 0)
})
