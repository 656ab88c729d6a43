import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { loopTurn } from '../src/loop-time.js'
import { GRACE_MS, Patience } from '../src/patience.js'
import { FakeClock, settle } from './fixtures/fake-clock.js'

function open() {
  const clock = new FakeClock(0)
  const stop: { deadline: number | undefined } = { deadline: undefined }
  const patience = new Patience(clock, stop)
  const end = new EventEmitter<{ done: [string]; error: [Error] }>()
  const work = once(end, 'done').then(([result]) => String(result))
  const left: unknown[] = []
  const leave = (reason: unknown) => {
    left.push(reason)
    return new Error('told', { cause: reason })
  }
  return { clock, end, leave, left, patience, stop, work }
}

t.test('what has neither a deadline nor a signal is not limited', async t => {
  const { patience, stop } = open()
  t.equal(patience.isLimited(undefined), false)
  t.equal(patience.isLimited([]), true)
  stop.deadline = 10
  t.equal(patience.isLimited(undefined), true)
})

t.test('an answer that comes before the deadline, or soon after it, counts', async t => {
  for (const after of [0, 10, 10 + GRACE_MS - 1]) {
    const { clock, end, leave, left, patience, stop, work } = open()
    stop.deadline = 10
    const waiting = patience.wait(work, [new AbortController().signal], leave)
    await clock.advance(after)
    end.emit('error', new Error('canceled'))
    await t.rejects(waiting, { message: 'canceled' })
    t.same(left, [])
    t.match(clock.pending, { foreground: 0 })
  }
})

t.test('without an answer, the deadline is told; what comes later is for nobody', async t => {
  const { clock, end, leave, left, patience, stop, work } = open()
  stop.deadline = 10
  const waiting = patience.wait(work, undefined, leave)
  void clock.advance(10 + GRACE_MS)
  await t.rejects(waiting, { message: 'told', cause: { code: 'FST_DB_DEADLINE' } })
  end.emit('done', 'late')
  await settle()
  t.match(left, [{ code: 'FST_DB_DEADLINE' }])
})

t.test('what has come when our own loop goes on again, counts', async t => {
  const { clock, end, leave, left, patience, stop, work } = open()
  stop.deadline = 10
  const waiting = patience.wait(work, undefined, leave)
  // As a socket that is read in the turn after the timers.
  clock.setTimer(10 + GRACE_MS, () => setImmediate(() => end.emit('done', 'in time')))
  void clock.advance(10 + GRACE_MS)
  t.equal(await waiting, 'in time')
  await loopTurn()
  t.same(left, [])
})

t.test('what is begun after the deadline has the same time to come to its end', async t => {
  const { clock, end, leave, left, patience, stop, work } = open()
  stop.deadline = 10
  await clock.advance(1000)
  const waiting = patience.wait(work, undefined, leave)
  await clock.advance(GRACE_MS - 1)
  end.emit('done', 'rolled back')
  t.equal(await waiting, 'rolled back')
  t.same(left, [])
})

t.test('a deadline that has ceased to hold is nobody’s', async t => {
  const { clock, end, leave, left, patience, stop, work } = open()
  stop.deadline = 10
  const waiting = patience.wait(work, undefined, leave)
  stop.deadline = undefined
  await clock.advance(10 + GRACE_MS)
  await loopTurn()
  end.emit('done', 'done')
  t.equal(await waiting, 'done')
  t.same(left, [])
})

t.test('a signal’s reason is told as late, once, whichever comes first', async t => {
  const { clock, leave, left, patience, work } = open()
  const [one, other] = [new AbortController(), new AbortController()]
  const waiting = patience.wait(work, [one.signal, other.signal], leave)
  await clock.advance(1000)
  const enough = new Error('enough')
  other.abort(enough)
  one.abort(new Error('later'))
  void clock.advance(GRACE_MS)
  await t.rejects(waiting, { message: 'told', cause: enough })
  t.same(left, [enough])
  t.match(clock.pending, { foreground: 0 })
})
