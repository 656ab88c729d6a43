import t from 'tap'
import { buildApp, named, servedBy } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('X06: a backend frozen at the ping is replaced, long before the deadline', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'frozen'),
    engineOptions: { pool_pre_ping_window: 0, pool_pre_ping_timeout: 0.2 }
  })
  const frozen = await servedBy(app)
  postgres.freeze(frozen)
  t.not(await servedBy(app), frozen)
  const { counters, generation } = app.db.status()
  t.equal(counters.pingFailures, 1)
  t.equal(generation, 0, 'the fresh connect succeeded: only this client was silent')
})

t.test('several frozen ones cost a request one ping time-out, not one each', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'several'),
    engineOptions: { pool_pre_ping_window: 0, pool_pre_ping_timeout: 0.2 }
  })
  const connections = await Promise.all(Array.from({ length: 4 }, () => app.db.connect()))
  for (const connection of connections) connection.release()
  const idle = await postgres.backends({ applicationName: 'several' })
  for (const { pid } of idle) postgres.freeze(pid)
  const pid = await servedBy(app)
  t.notOk(idle.some(frozen => frozen.pid === pid))
})
