import t from 'tap'
import type { EventName } from '../src/events.js'
import { buildApp } from './fixtures/app.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)

t.test(
  'P28 P29 P32 P40: whoever listens hears of new clients as of the old ones, used before or not',
  async t => {
    for (const isUsedBefore of [true, false]) {
      const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
      const heard: string[] = []
      for (const event of ['connect', 'checkout', 'reset', 'checkin'] satisfies EventName[]) {
        engine.on(event, () => void heard.push(event))
      }
      const once = ['connect', 'checkout', 'reset', 'checkin']
      if (isUsedBefore) await engine.query('select 1')
      await until(() => engine.status().checkedOut === 0)
      engine.dispose()
      await engine.query('select 1')
      await until(() => engine.status().checkedOut === 0)
      t.same(heard, isUsedBefore ? [...once, ...once] : once)
    }
  }
)

t.test('P08 P72: what was configured holds after dispose()', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine, log } = openEngine(t, proxy.url(postgres.url), {
    pool_size: 1,
    max_overflow: 1,
    pool_timeout: 0,
    pool_idle_timeout: 0,
    pool_reset_on_return: null,
    isolation_level: 'REPEATABLE READ',
    echo: true
  })
  for (const round of ['before', 'after']) {
    const [first, second] = await Promise.all([engine.connect(), engine.connect()])
    await t.rejects(engine.connect(), { code: 'FST_DB_POOL_TIMEOUT' }, round)
    const { rows } = await first.query('show transaction_isolation')
    t.same(rows, [{ transaction_isolation: 'repeatable read' }], round)
    await first.query('begin')
    second.release()
    first.release()
    t.match(engine.status(), { size: 1, idle: 1 }, round)
    const again = requestOf(engine)
    t.equal((await again.query('select 1')).rowCount, 1)
    again.end()
    engine.dispose()
  }
  t.notOk(statements.some(text => /rollback/i.test(text)))
  t.equal(log.filter(({ message }) => message === 'statement').length, 6)
})

t.test(
  'L04 L05: what is logged of a named database has its name, also after dispose()',
  async t => {
    const lines: { msg: string; database?: string }[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const app = await buildApp(
      t,
      { url: postgres.url, name: 'reports', engineOptions: { echo_pool: true, echo: true } },
      () => {},
      { logger: { stream } }
    )
    const { reports } = app.db as unknown as { reports: ReturnType<typeof openEngine>['engine'] }
    await servedBy(reports)
    reports.dispose()
    await servedBy(reports)
    const own = lines.filter(({ msg }) => /^(pool: |statement|every older)/.test(msg))
    t.equal(own.filter(({ msg }) => msg === 'pool: connect').length, 2)
    t.equal(own.filter(({ msg }) => msg === 'statement').length, 2)
    t.same(
      own.filter(({ database }) => database !== 'reports'),
      []
    )
  }
)
