import Cursor from 'pg-cursor'
import t from 'tap'
import { LeakWatch } from '../src/leak-watch.js'
import { FakeClock } from './fixtures/fake-clock.js'
import { type LogLine, openEngine, requestOf, until } from './fixtures/open-engine.js'
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

const HELD = 'a database connection is held for long'

/** Who was named, by the function that the engine was called in. */
function named(log: readonly LogLine[]): unknown[] {
  return log
    .filter(({ message }) => message === HELD)
    .map(({ fields }) => /\bborrowed\w+/.exec(Reflect.get(fields, 'borrower'))?.[0])
}

t.test('A01 P39: whoever took it is named, in whatever way it was taken', async t => {
  const { engine, log } = openEngine(t, postgres.url, { leak_timeout: 0.01 })
  const db = requestOf(engine)
  const isNamed = (count: number) => until(() => named(log).length === count)
  await (async function borrowedByQuery() {
    await db.query('select 1')
    await isNamed(1)
  })()
  db.release()
  await (async function borrowedByConnect() {
    await using connection = await engine.connect()
    await isNamed(2)
    return connection
  })()
  await (async function borrowedByTransaction() {
    await db.transaction(async tx => {
      await tx.query('select 1')
      await isNamed(3)
    })
  })()
  db.release()
  await (async function borrowedBySavepoint() {
    await engine.transaction(tx =>
      tx.transaction(async nested => {
        await nested.batch(['select 1'])
        await isNamed(4)
      })
    )
  })()
  await (async function borrowedByCursor() {
    await db.transaction(async tx => {
      const cursor = tx.query(new Cursor('select 1'))
      await cursor.read(1)
      await isNamed(5)
      await cursor.close()
    })
  })()
  db.end()
  t.same(named(log), [
    'borrowedByQuery',
    'borrowedByConnect',
    'borrowedByTransaction',
    'borrowedBySavepoint',
    'borrowedByCursor'
  ])
})
