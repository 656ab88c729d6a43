import t from 'tap'
import { clientSource } from '../src/client-source.js'
import { openEngine, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('the engine’s numbers, connections and clients', async t => {
  const { engine } = openEngine(t, postgres.url)
  const source = clientSource(engine, 3)
  t.match(source, { limit: 3 })
  t.match(source.status(), { size: 0, idle: 0, waiting: 0 })
  const { client, connection } = await source.connect()
  t.equal(connection.held, client)
  t.match(source.status(), { size: 1, idle: 0 })
  connection.end()
  const lazy = source.connection()
  t.equal(lazy.held, undefined)
  t.match(await lazy.query('select 1 x', undefined), { rows: [{ x: 1 }] })
  t.equal(lazy.held, client)
  lazy.release()
  t.match(source.status(), { size: 1, idle: 1 })
})

t.test('listeners hear of clients that come and go, and why one was lost', async t => {
  const { engine } = openEngine(t, postgres.url)
  const source = clientSource(engine, 3)
  const closed: unknown[] = []
  const opened: unknown[] = []
  source.onConnect(client => opened.push(client))
  source.onClose((client, error) => closed.push([client, error]))
  const { client, connection } = await source.connect()
  connection.end()
  engine.dispose()
  t.same(closed.splice(0), [[client, undefined]])
  const other = await source.connect()
  other.connection.end()
  t.equal(opened.length, 2)
  await postgres.terminateBackends()
  await until(() => closed.length === 1)
  t.match(closed, [[other.client, { code: '57P01' }]])
})
