import t from 'tap'
import { openEngine, requestOf, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int)')

/** However recently it was heard from, nothing is known of a client. */
const COLD = { pool_size: 1, max_overflow: 0, pool_pre_ping_window: 0 }

t.test('a plain read and the first statement of a transaction are their own ping', async t => {
  const { engine } = openEngine(t, postgres.url, COLD)
  await engine.query('select 1')
  await engine.query('select 2')
  await engine.transaction(tx => tx.query('insert into entries values (1)'))
  await requestOf(engine).query({ text: 'select count(*) from entries', readOnly: true })
  t.match(engine.status().counters, { checkouts: 4, pings: 0 })
})

t.test('what cannot be sent twice is sent after a ping', async t => {
  const { engine } = openEngine(t, postgres.url, COLD)
  await engine.query('select 1')
  await engine.query('select pg_backend_pid()')
  await engine.query('analyze entries')
  t.equal(engine.status().counters.pings, 2)
})

for (const [name, use] of Object.entries({
  'a plain read': (db: ReturnType<typeof requestOf>) => db.query('select 1 x'),
  'a transaction': (db: ReturnType<typeof requestOf>) =>
    db.transaction(tx => tx.query('insert into entries values (3) returning 1 x'))
})) {
  t.test(
    `${name} on a client that fell silent is run on another, and no replay is spent`,
    async t => {
      const proxy = await startProxy(t, postgres)
      const { engine } = openEngine(t, proxy.url(postgres.url), COLD)
      await engine.query('select 1')
      for (const connection of proxy.connections()) connection.freeze('toClient')
      const before = (await postgres.admin('select from entries where id = 3')).length
      const db = requestOf(engine)
      t.same((await use(db)).rows, [{ x: 1 }])
      db.end()
      t.match(engine.status(), {
        generation: 0,
        replays: 0,
        counters: { pings: 0, pingFailures: 1 }
      })
      t.equal(
        (await postgres.admin('select from entries where id = 3')).length - before,
        name === 'a transaction' ? 1 : 0
      )
    }
  )
}

t.test('a slow statement is not taken for a dead client', async t => {
  const { engine } = openEngine(t, postgres.url, { ...COLD, pool_pre_ping_timeout: 1 })
  await engine.query('select 1')
  const { size } = engine.status()
  await engine.transaction(tx => tx.query('select pg_sleep(2)'))
  t.match(engine.status(), { size, counters: { connects: 1, pingFailures: 0 } })
})

t.test('statements started together on a dead client are all run on the next one', async t => {
  const proxy = await startProxy(t, postgres)
  const { engine } = openEngine(t, proxy.url(postgres.url), COLD)
  await engine.query('select 1')
  for (const connection of proxy.connections()) connection.freeze('toClient')
  const db = requestOf(engine)
  const results = await Promise.all([db.query('select 1 x'), db.query('select 2 x')])
  t.same(
    results.map(({ rows }) => rows[0]?.x),
    [1, 2]
  )
  db.end()
  await until(() => engine.status().checkedOut === 0)
})
