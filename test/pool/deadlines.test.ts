import t from 'tap'
import { Deadlines } from '../../src/pool/deadlines.js'
import { FakeClock } from '../fixtures/fake-clock.js'

const NONE = { foreground: 0, background: 0 }
const ONE = { foreground: 1, background: 0 }

function build() {
  const clock = new FakeClock()
  const start = clock.now()
  const deadlines = new Deadlines(clock)
  const log: string[] = []
  const add = (name: string, ms: number) => {
    const due = {
      deadline: start + ms,
      onDue: () => {
        log.push(`${name} at ${clock.now() - start}`)
        deadlines.remove(due)
      }
    }
    deadlines.add(due)
    return due
  }
  return { add, clock, deadlines, log }
}

t.test('each is told when its time has come, in whatever order they were added', async t => {
  const { add, clock, log } = build()
  add('b', 200)
  add('a', 100)
  add('d', 300)
  add('c', 200)
  t.strictSame(clock.pending, ONE, 'by one timer')
  await clock.advance(199)
  t.strictSame(log, ['a at 100'])
  await clock.advance(1000)
  t.strictSame(log, ['a at 100', 'b at 200', 'c at 200', 'd at 300'])
  t.strictSame(clock.pending, NONE)
})

t.test('one that was removed is not told, and the others are in time', async t => {
  const { add, clock, deadlines, log } = build()
  deadlines.remove(add('a', 100))
  t.strictSame(clock.pending, NONE, 'nothing keeps the process alive')
  const b = add('b', 100)
  add('c', 150)
  deadlines.remove(b)
  t.strictSame(clock.pending, ONE)
  await clock.advance(150)
  t.strictSame(log, ['c at 150'])
  t.strictSame(clock.pending, NONE)
})

t.test('one that has passed already is told at once', async t => {
  const { add, clock, log } = build()
  await clock.advance(50)
  add('a', 10)
  await clock.advance(0)
  t.strictSame(log, ['a at 50'])
})

t.test('a timer that strikes too early is set again', async t => {
  const clock = new FakeClock()
  const early = {
    now: () => clock.now(),
    setTimer: (ms: number, fn: () => void) => clock.setTimer(Math.max(1, Math.floor(ms)), fn)
  }
  const deadlines = new Deadlines(early)
  let told = 0
  const due = {
    deadline: clock.now() + 1.5,
    onDue: () => {
      told += 1
      deadlines.remove(due)
    }
  }
  deadlines.add(due)
  await clock.advance(1)
  t.equal(told, 0)
  await clock.advance(1)
  t.equal(told, 1)
})

t.test('what is told may add another, or take one out', async t => {
  const { add, clock, deadlines, log } = build()
  const later = add('later', 300)
  const due = {
    deadline: clock.now() + 100,
    onDue: () => {
      deadlines.remove(due)
      deadlines.remove(later)
      add('new', 200)
    }
  }
  deadlines.add(due)
  await clock.advance(1000)
  t.strictSame(log, ['new at 200'])
  t.strictSame(clock.pending, NONE)
})
