import t from 'tap'
import { openEngine, until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

/** More by `npm run test:races`. */
const RACES = Number(process.env.CANCEL_RACES ?? 10_000)
const SESSIONS = 8
const MOMENT_MS = 1

const postgres = await startPostgres(t)

/** When to fire so that it is about as often too late as it is too early. */
class Aim {
  /** Milliseconds after the start of the statement. */
  #ms = MOMENT_MS

  next(): number {
    return this.#ms * (0.8 + 0.4 * Math.random())
  }

  wasTooLate(): void {
    this.#ms *= 0.98
  }

  wasTooEarly(): void {
    this.#ms *= 1.02
  }
}

t.test('a cancel that is fired while its statement ends never strikes the next one', async t => {
  const { engine } = openEngine(t, postgres.url, {
    pool_size: SESSIONS,
    max_overflow: 0,
    pool_recycle: -1
  })
  const seen = { canceled: 0, done: 0, firedTooLate: 0, inLastMoment: 0, foreign: 0, failed: 0 }
  const aim = new Aim()
  let left = RACES

  const race = async () => {
    const stop = new AbortController()
    const start = performance.now()
    const running = engine.query({ text: 'select pg_sleep(0.0005)', signal: stop.signal })
    let isOver = false
    const settled = running.then(
      () => 'done',
      error => (error === stop.signal.reason ? 'canceled' : error)
    )
    const ended = settled.then(() => {
      isOver = true
      return performance.now()
    })
    const due = start + aim.next()
    while (performance.now() < due) await new Promise(resolve => setImmediate(resolve))
    const isTooLate = isOver
    const firedAt = performance.now()
    stop.abort()
    const outcome = await settled
    const isInLastMoment = (await ended) - firedAt <= MOMENT_MS
    if (isTooLate) {
      seen.firedTooLate += 1
      aim.wasTooLate()
    } else if (outcome === 'canceled') {
      seen.canceled += 1
      aim.wasTooEarly()
    } else if (outcome === 'done') seen.done += 1
    else seen.failed += 1
    if (!isTooLate && isInLastMoment) seen.inLastMoment += 1
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
  await Promise.all(Array.from({ length: SESSIONS }, worker))

  t.comment(`${RACES} races: ${JSON.stringify(seen)}`)
  t.equal(seen.foreign, 0, 'statements of others that were struck')
  t.equal(seen.failed, 0)
  t.ok(seen.inLastMoment >= RACES / 10, `in the last moment: ${seen.inLastMoment} of ${RACES}`)
  await until(() => engine.status().checkedOut === 0)
  t.match(engine.status(), { waiting: 0, generation: 0, counters: { connects: SESSIONS } })
})
