import t from 'tap'
import { LeakWatch } from '../src/leak-watch.js'
import { FakeClock } from './fixtures/fake-clock.js'
import { openEngine, requestOf, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

function watch(timeout: number) {
  const clock = new FakeClock()
  const lines: string[] = []
  const fields: object[] = []
  const log = (line: string) => (given: object, message: string) => {
    lines.push(`${line}: ${message}`)
    fields.push(given)
  }
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn') }
  return { clock, fields, lines, leakWatch: new LeakWatch(timeout, clock, logger) }
}

t.test('off, nothing is watched', async t => {
  const { clock, leakWatch } = watch(0)
  t.equal(leakWatch.watch(), undefined)
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test('A01 P39: who holds a client for long is named, and its return is told', async t => {
  const { clock, fields, leakWatch, lines } = watch(1000)
  const stop = leakWatch.watch()
  await clock.advance(999)
  t.same(lines, [])
  await clock.advance(1)
  t.same(lines, ['warn: a database connection is held for long'])
  t.match(fields[0], { heldMs: 1000, borrower: /leak-watch\.test/ })
  stop?.()
  t.equal(lines[1], 'info: the database connection held for long was given back')
})

t.test('given back in time, nothing is said', async t => {
  const { clock, leakWatch, lines } = watch(1000)
  leakWatch.watch()?.()
  await clock.advance(5000)
  t.same(lines, [])
})

t.test('A01 P39: whoever took it is named, with the first statement or before', async t => {
  const { engine, log } = openEngine(t, postgres.url, { leak_timeout: 0.01 })
  const held = () =>
    log.filter(({ message }) => message === 'a database connection is held for long')
  const db = requestOf(engine)
  const ways: Record<string, () => Promise<unknown>> = {
    byQuery: async function borrowedByQuery() {
      await db.query('select 1')
      await until(() => held().length === 1)
    },
    byConnect: async function borrowedByConnect() {
      await using connection = await engine.connect()
      await until(() => held().length === 2)
      return connection
    }
  }
  for (const borrow of Object.values(ways)) {
    await borrow()
    db.release()
  }
  db.end()
  t.match(
    held().map(({ fields }) => Reflect.get(fields, 'borrower')),
    [/borrowedByQuery/, /borrowedByConnect/]
  )
})
