import t from 'tap'
import { Drain } from '../../src/pool/drain.js'

/** Serves `count` waiters, one every `interval` milliseconds, with more behind them. */
function serve(drain: Drain, count: number, interval: number, from = 0): number {
  for (let index = 0; index < count; index += 1) drain.served(from + index * interval, false)
  return from + count * interval
}

t.test('who joins waits as long as those before took', async t => {
  const drain = new Drain()
  serve(drain, 100, 10)
  t.equal(drain.estimate(50), 500)
  t.equal(drain.estimate(0), 0)
})

t.test('nothing is said before enough were served', async t => {
  const drain = new Drain()
  t.equal(drain.estimate(1), undefined)
  serve(drain, 20, 10)
  t.equal(drain.estimate(1), undefined)
  drain.served(200, false)
  t.equal(drain.estimate(1), 10)
})

t.test('the latest counts most', async t => {
  const drain = new Drain()
  const now = serve(drain, 100, 10)
  serve(drain, 100, 50, now)
  const estimate = drain.estimate(1) ?? 0
  t.ok(estimate > 49 && estimate <= 50, `${estimate}`)
})

t.test('a backlog that was served to its end says nothing about the next one', async t => {
  const drain = new Drain()
  serve(drain, 100, 10)
  drain.served(1000, true)
  t.equal(drain.estimate(10), undefined)
  serve(drain, 21, 3, 60_000)
  t.ok((drain.estimate(1) ?? 0) < 10)
})
