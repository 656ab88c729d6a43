import { inspect } from 'node:util'
import t from 'tap'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('nothing is recorded unless it is asked for', async t => {
  const { engine } = openEngine(t, postgres.url)
  const connection = requestOf(engine)
  await connection.query('select 1')
  t.same(connection.recordedQueries, [])
  connection.end()
})

t.test('F17: statement, duration and location of each statement, parameters on demand', async t => {
  const { engine } = openEngine(t, postgres.url, { record_queries: true, hide_parameters: false })
  const connection = requestOf(engine)
  await connection.query('select $1::int', [1])
  await connection.transaction(async transaction => {
    await transaction.query('select 2')
  })
  const [first, second] = connection.recordedQueries
  t.match(first, {
    statement: 'select $1::int',
    parameters: [1],
    startTime: Number,
    duration: Number,
    location: /query-record\.test\.ts:\d+/
  })
  t.equal(second?.statement, 'select 2')
  t.equal(connection.recordedQueries.length, 2)
  connection.end()
})

t.test('X56: a statement that fails is recorded with its error', async t => {
  const { engine } = openEngine(t, postgres.url, { record_queries: true })
  const connection = requestOf(engine)
  await t.rejects(connection.query('select nonsense'), { code: '42703' })
  t.match(connection.recordedQueries, [{ statement: 'select nonsense', error: { code: '42703' } }])
  connection.end()
})

t.test('L07 F05: echo logs statements, each engine for itself', async t => {
  const { engine, log } = openEngine(t, postgres.url, { echo: true })
  const quiet = openEngine(t, postgres.url)
  await engine.query('select 1 one')
  await quiet.engine.query('select 2 two')
  const lines = log.filter(({ message }) => message === 'statement')
  t.match(lines, [{ level: 'info', fields: { statement: 'select 1 one', rowCount: 1 } }])
  t.same(quiet.log, [])
})

t.test('L08: neither parameters nor rows are logged unless hide_parameters is off', async t => {
  const secret = 'a-secret-value'
  for (const hide_parameters of [true, false]) {
    const { engine, log } = openEngine(t, postgres.url, { echo: 'debug', hide_parameters })
    await engine.query('select $1::text', [secret])
    await t.rejects(engine.query('select $1::int', [secret]), { code: '22P02' })
    // As it is logged: pino writes an error with its message, which quotes the value here.
    const logged = inspect(log, { depth: 5, showHidden: true })
    t.equal(logged.includes(secret), !hide_parameters)
    t.match(logged, /22P02/)
  }
})
