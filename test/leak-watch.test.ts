import t from 'tap'
import { LeakWatch } from '../src/leak-watch.js'
import { FakeClock } from './fixtures/fake-clock.js'

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
