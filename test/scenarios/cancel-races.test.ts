import t from 'tap'
import { openEngine, until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

/** More by `CANCEL_RACES=100000 npx tap test/scenarios/cancel-races.test.ts`. */
const RACES = Number(process.env.CANCEL_RACES ?? 2000)
const WORKERS = 3
const MOMENT_MS = 1
/** Around as long as the statement takes. */
const SPREAD_MS = 3
const postgres = await startPostgres(t)

t.test('a cancel that is fired while its statement ends never strikes the next one', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 3, max_overflow: 0 })
  const seen = { canceled: 0, tooLate: 0, inLastMoment: 0, foreign: 0, failed: 0 }
  let left = RACES

  const race = async () => {
    const stop = new AbortController()
    const start = performance.now()
    const running = engine.query({ text: 'select pg_sleep(0.0002)', signal: stop.signal })
    const settled = running.then(
      () => 'done',
      error => (error === stop.signal.reason ? 'canceled' : error)
    )
    const aim = start + Math.random() * SPREAD_MS
    while (performance.now() < aim) await new Promise(resolve => setImmediate(resolve))
    const abortedAt = performance.now()
    stop.abort()
    const outcome = await settled
    const endedAt = performance.now()
    if (outcome === 'canceled') seen.canceled += 1
    else if (outcome === 'done') seen.tooLate += 1
    else seen.failed += 1
    if (Math.abs(endedAt - abortedAt) <= MOMENT_MS) seen.inLastMoment += 1
  }
  const bystander = async () => {
    const isStruck = await engine.query("select 'bystander'").then(
      () => false,
      () => true
    )
    if (isStruck) seen.foreign += 1
  }
  const worker = async () => {
    while (left-- > 0) {
      await race()
      await bystander()
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))

  t.comment(`${RACES} races: ${JSON.stringify(seen)}`)
  t.equal(seen.foreign, 0, 'statements of others that were struck')
  t.equal(seen.failed, 0)
  t.ok(seen.inLastMoment >= RACES / 10, `in the last moment: ${seen.inLastMoment} of ${RACES}`)
  await until(() => engine.status().checkedOut === 0)
  t.match(engine.status(), { waiting: 0, generation: 0, counters: { connects: 3 } })
})
