import t from 'tap'
import { openEngine, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

const useAndReplace = async (engine: ReturnType<typeof openEngine>['engine']) => {
  await engine.query('select 1')
  engine.invalidate()
  await engine.query('select 1')
  await engine.close()
}

const poolLines = (log: ReturnType<typeof openEngine>['log']) =>
  log.map(({ message }) => message).filter(message => message.startsWith('pool: '))

t.test('without echo_pool nothing is said of clients', async t => {
  const { engine, log } = openEngine(t, postgres.url)
  await useAndReplace(engine)
  t.same(poolLines(log), [])
})

t.test('L02 F05: echo_pool tells what costs a client', async t => {
  const { engine, log } = openEngine(t, postgres.url, { echo_pool: true })
  await useAndReplace(engine)
  t.same(poolLines(log), [
    'pool: connect',
    'pool: invalidate',
    'pool: close',
    'pool: connect',
    'pool: close'
  ])
  t.match(log.find(({ message }) => message === 'pool: invalidate')?.fields, {
    serverPid: Number,
    reason: 'user'
  })
})

t.test('L01: "debug" tells each loan as well, in order', async t => {
  const { engine, log } = openEngine(t, postgres.url, { echo_pool: 'debug' })
  await engine.query('select 1')
  await until(() => engine.status().checkedOut === 0)
  t.same(poolLines(log), ['pool: connect', 'pool: checkout', 'pool: reset', 'pool: checkin'])
})
