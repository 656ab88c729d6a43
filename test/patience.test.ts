import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { Patience } from '../src/patience.js'
import { FakeClock, settle } from './fixtures/fake-clock.js'

const GRACE = 100

function open() {
  const clock = new FakeClock(0)
  const stop: { deadline: number | undefined } = { deadline: undefined }
  const account = { isCommitting: false }
  const patience = new Patience(clock, stop, account)
  let left = 0
  const onLeft = () => {
    left += 1
  }
  const end = new EventEmitter<{ done: [string]; error: [Error] }>()
  const work = once(end, 'done').then(([result]) => String(result))
  return { account, clock, end, onLeft, patience, stop, times: () => left, work }
}

t.test('without a limit it is the work itself', async t => {
  const { clock, onLeft, patience, work } = open()
  t.equal(patience.wait(work, undefined, onLeft), work)
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test('an answer that comes before the deadline, or soon after it, counts', async t => {
  for (const after of [0, 10, 10 + GRACE - 1]) {
    const { clock, end, onLeft, patience, stop, times, work } = open()
    stop.deadline = 10
    const waiting = patience.wait(work, [new AbortController().signal], onLeft)
    await clock.advance(after)
    end.emit('error', new Error('canceled'))
    await t.rejects(waiting, { message: 'canceled' })
    t.match({ times: times(), ...clock.pending }, { times: 0, foreground: 0 })
    t.equal(patience.isExhausted, false)
  }
})

t.test('without an answer, the deadline is told; what comes later is for nobody', async t => {
  const { account, clock, end, onLeft, patience, stop, times, work } = open()
  stop.deadline = 10
  // A COMMIT is not cut short, but not waited for either.
  account.isCommitting = true
  const waiting = patience.wait(work, undefined, onLeft)
  void clock.advance(10 + GRACE)
  await t.rejects(waiting, { code: 'FST_DB_DEADLINE' })
  t.equal(times(), 1)
  t.equal(patience.isExhausted, true)
  end.emit('done', 'late')
  await settle()
  t.equal(patience.isExhausted, false)
})

t.test('what is begun after the deadline has the same time to come to its end', async t => {
  const { clock, end, onLeft, patience, stop, times, work } = open()
  stop.deadline = 10
  await clock.advance(1000)
  const waiting = patience.wait(work, undefined, onLeft)
  await clock.advance(GRACE - 1)
  end.emit('done', 'rolled back')
  t.equal(await waiting, 'rolled back')
  t.equal(times(), 0)
})

t.test('a deadline that has ceased to hold is nobody’s', async t => {
  const { clock, end, onLeft, patience, stop, times, work } = open()
  stop.deadline = 10
  const waiting = patience.wait(work, undefined, onLeft)
  stop.deadline = undefined
  await clock.advance(10 + GRACE)
  end.emit('done', 'done')
  t.equal(await waiting, 'done')
  t.equal(times(), 0)
})

t.test('a signal’s reason is told as late, once, whichever comes first', async t => {
  const { clock, end, onLeft, patience, times, work } = open()
  const [one, other] = [new AbortController(), new AbortController()]
  const waiting = patience.wait(work, [one.signal, other.signal], onLeft)
  await clock.advance(1000)
  other.abort(new Error('enough'))
  one.abort(new Error('later'))
  void clock.advance(GRACE)
  await t.rejects(waiting, { message: 'enough' })
  t.match({ times: times(), ...clock.pending }, { times: 1, foreground: 0 })
  t.equal(patience.isExhausted, true)
  end.emit('error', new Error('canceled'))
  await settle()
  t.equal(patience.isExhausted, false)
})

t.test('where a signal must not cancel, it is not left either', async t => {
  const { account, clock, end, onLeft, patience, times, work } = open()
  const controller = new AbortController()
  const waiting = patience.wait(work, [controller.signal], onLeft)
  account.isCommitting = true
  controller.abort(new Error('enough'))
  await clock.advance(GRACE)
  end.emit('done', 'committed')
  t.equal(await waiting, 'committed')
  t.equal(times(), 0)
})
