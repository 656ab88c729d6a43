import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { systemClock } from '../src/clock.js'
import { afterLoopTime, loopTurn } from '../src/loop-time.js'
import { FakeClock, settle } from './fixtures/fake-clock.js'

t.test('it is over after so many milliseconds, and not before', async t => {
  const clock = new FakeClock()
  let over = 0
  afterLoopTime(clock, 1000, () => {
    over += 1
  })
  await clock.advance(999)
  await loopTurn()
  t.equal(over, 0)
  await clock.advance(1)
  await loopTurn()
  t.equal(over, 1)
  await clock.advance(10_000)
  t.equal(over, 1)
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test('a stall of our own counts for one step, however long', async t => {
  const timers: (() => void)[] = []
  const clock = {
    now: () => 0,
    setTimer: (_ms: number, fn: () => void) => {
      timers.push(fn)
      return { cancel: () => {} }
    }
  }
  let isOver = false
  afterLoopTime(clock, 1000, () => {
    isOver = true
  })
  // Each timer may come as late as it likes.
  for (let step = 0; step < 3; step += 1) timers.pop()?.()
  await loopTurn()
  t.equal(isOver, false)
  timers.pop()?.()
  await loopTurn()
  t.equal(isOver, true)
})

t.test('who is called off is not called, not even when the time is up already', async t => {
  const clock = new FakeClock()
  let isOver = false
  const early = afterLoopTime(clock, 1000, () => {
    isOver = true
  })
  await clock.advance(500)
  early.cancel()
  t.same(clock.pending, { foreground: 0, background: 0 })
  const late = afterLoopTime(clock, 0, () => {
    isOver = true
  })
  await clock.advance(0)
  late.cancel()
  await loopTurn()
  await settle()
  t.equal(isOver, false)
})

t.test('what arrived during a stall is read before the time is up', async t => {
  const server = createServer(socket => socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  for (let round = 0; round < 20; round += 1) {
    let isRead = false
    socket.once('data', () => {
      isRead = true
    })
    const over = new Promise<boolean>(resolve => {
      afterLoopTime(systemClock, 4, () => resolve(isRead))
    })
    socket.write('ping')
    await loopTurn()
    const stalledUntil = performance.now() + 20
    while (performance.now() < stalledUntil);
    t.equal(await over, true)
  }
  socket.destroy()
  server.close()
})
