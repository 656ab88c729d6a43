import t from 'tap'
import { Sweeper } from '../../src/pool/sweeper.js'
import { FakeClock } from '../fixtures/fake-clock.js'

function build() {
  const clock = new FakeClock()
  const start = clock.now()
  /** When it swept, in milliseconds since the start. */
  const sweeps: number[] = []
  const sweeper = new Sweeper(clock, () => sweeps.push(clock.now() - start))
  return { clock, start, sweeps, sweeper }
}

t.test('a new sweeper has no timer', async t => {
  t.strictSame(build().clock.pending, { foreground: 0, background: 0 })
})

t.test('it sweeps when something is due, once', async t => {
  const { clock, start, sweeps, sweeper } = build()
  sweeper.schedule(start + 100)
  await clock.advance(99)
  t.strictSame(sweeps, [])
  await clock.advance(1)
  t.strictSame(sweeps, [100])
  await clock.advance(1000)
  t.strictSame(sweeps, [100])
})

t.test('its timer does not keep a process alive', async t => {
  const { clock, start, sweeper } = build()
  sweeper.schedule(start + 100)
  t.strictSame(clock.pending, { foreground: 0, background: 1 })
})

t.test('something due sooner moves the one timer', async t => {
  const { clock, start, sweeps, sweeper } = build()
  sweeper.schedule(start + 100)
  sweeper.schedule(start + 50)
  t.strictSame(clock.pending, { foreground: 0, background: 1 })
  await clock.advance(1000)
  t.strictSame(sweeps, [50])
})

t.test('something due later, or at the same time, leaves the timer as it is', async t => {
  const { clock, start, sweeps, sweeper } = build()
  sweeper.schedule(start + 50)
  sweeper.schedule(start + 50)
  sweeper.schedule(start + 100)
  t.strictSame(clock.pending, { foreground: 0, background: 1 })
  await clock.advance(1000)
  t.strictSame(sweeps, [50])
})

t.test('a sweep schedules the next one', async t => {
  const clock = new FakeClock()
  const start = clock.now()
  const sweeps: number[] = []
  const sweeper = new Sweeper(clock, () => {
    sweeps.push(clock.now() - start)
    if (sweeps.length < 3) sweeper.schedule(clock.now() + 10)
  })
  sweeper.schedule(start + 10)
  await clock.advance(1000)
  t.strictSame(sweeps, [10, 20, 30])
})

t.test('what is overdue is swept at once, but not inside the call', async t => {
  const { clock, start, sweeps, sweeper } = build()
  sweeper.schedule(start - 100)
  t.strictSame(sweeps, [])
  await clock.advance(0)
  t.strictSame(sweeps, [0])
})

t.test('what is never due sets no timer', async t => {
  const { clock, sweeper } = build()
  sweeper.schedule(Number.POSITIVE_INFINITY)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
})

t.test('after a stop nothing is swept, until something is scheduled again', async t => {
  const { clock, start, sweeps, sweeper } = build()
  sweeper.schedule(start + 50)
  sweeper.stop()
  sweeper.stop()
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await clock.advance(100)
  t.strictSame(sweeps, [])
  sweeper.schedule(start + 200)
  await clock.advance(100)
  t.strictSame(sweeps, [200])
})
