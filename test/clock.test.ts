import t from 'tap'
import { MAX_TIMER_MS, systemClock } from '../src/clock.js'

t.test('X21: the clock does not go back, and does not follow the wall clock', async t => {
  const wallClock = Date.now
  t.teardown(() => {
    Date.now = wallClock
  })
  const before = systemClock.now()
  Date.now = () => 0
  const set = systemClock.now()
  Date.now = () => Number.MAX_SAFE_INTEGER
  const after = systemClock.now()

  t.ok(before <= set && set <= after)
  t.ok(after - before < 1e9, 'the jumps of the wall clock are not in it')
})

t.test('a timer runs its function once', async t => {
  let runs = 0
  await new Promise<void>(resolve => {
    systemClock.setTimer(1, () => {
      runs += 1
      resolve()
    })
  })
  await laterThan(1)
  t.equal(runs, 1)
})

t.test('a timer that was cancelled never runs, and may be cancelled again', async t => {
  const timer = systemClock.setTimer(1, () => t.fail('was cancelled'))
  timer.cancel()
  timer.cancel()
  await laterThan(1)
})

t.test('a timer may be cancelled after it ran', async t => {
  const timer = await new Promise<{ cancel(): void }>(resolve => {
    const set = systemClock.setTimer(0, () => resolve(set))
  })
  t.doesNotThrow(() => timer.cancel())
})

t.test('a delay longer than Node.js can count does not fire at once', async t => {
  const warnings = collectWarnings(t)
  const delays = [MAX_TIMER_MS, MAX_TIMER_MS + 1, Number.MAX_VALUE, Number.POSITIVE_INFINITY]
  const timers = delays.map(ms => systemClock.setTimer(ms, () => t.fail(`${ms} ms passed`)))
  await laterThan(1)
  for (const timer of timers) timer.cancel()
  t.strictSame(warnings, [])
})

t.test('a delay that is over already fires soon, without a warning', async t => {
  const warnings = collectWarnings(t)
  await new Promise<void>(resolve => systemClock.setTimer(-1000, resolve))
  await laterThan(1)
  t.strictSame(warnings, [])
})

t.test('only timers in the foreground keep the process alive', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = timers()
  const background = systemClock.setTimer(60_000, () => {}, { background: true })
  t.equal(timers(), before)
  const foreground = systemClock.setTimer(60_000, () => {})
  t.equal(timers(), before + 1)
  const explicit = systemClock.setTimer(60_000, () => {}, { background: false })
  t.equal(timers(), before + 2)
  for (const timer of [background, foreground, explicit]) timer.cancel()
  t.equal(timers(), before)
})

/** Timers of one delay fire in the order in which they were set: when this resolves, earlier ones of `ms` have fired. */
function laterThan(ms: number): Promise<void> {
  return new Promise(resolve => systemClock.setTimer(ms, resolve))
}

/** Node.js emits a warning one turn after its cause. */
function collectWarnings(t: { teardown(fn: () => void): void }): string[] {
  const warnings: string[] = []
  const onWarning = (warning: Error) => warnings.push(warning.name)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  return warnings
}
