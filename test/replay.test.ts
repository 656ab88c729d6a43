import t from 'tap'
import { ReplayBudget } from '../src/replay.js'

/** How many replays are granted in a row. */
function takeAll(budget: ReplayBudget): number {
  let taken = 0
  while (taken < 10_000 && budget.take()) taken += 1
  return taken
}

function succeed(budget: ReplayBudget, times: number): void {
  for (let i = 0; i < times; i += 1) budget.succeeded()
}

t.test('twice as many replays as clients may be made at once', async t => {
  for (const [capacity, burst] of [
    [1, 2],
    [15, 30],
    [100, 200]
  ] as const) {
    t.equal(takeAll(new ReplayBudget(capacity)), burst)
  }
})

t.test('a pool without a limit has no budget without one', async t => {
  t.equal(takeAll(new ReplayBudget(Number.POSITIVE_INFINITY)), 200)
  t.equal(takeAll(new ReplayBudget(1000)), 200)
})

t.test('ten successes earn one replay', async t => {
  const budget = new ReplayBudget(5)
  takeAll(budget)
  succeed(budget, 9)
  t.equal(budget.take(), false)
  succeed(budget, 1)
  t.equal(budget.take(), true)
  t.equal(budget.take(), false)
  succeed(budget, 50)
  t.equal(takeAll(budget), 5)
})

t.test('successes are not saved up beyond the burst', async t => {
  const budget = new ReplayBudget(1)
  succeed(budget, 1000)
  t.equal(takeAll(budget), 2)
  takeAll(budget)
  succeed(budget, 1000)
  t.equal(takeAll(budget), 2)
})

t.test('replays made are counted, refused ones are not', async t => {
  const budget = new ReplayBudget(1)
  t.equal(budget.replays, 0)
  t.strictSame([budget.take(), budget.take(), budget.take()], [true, true, false])
  t.equal(budget.replays, 2)
  succeed(budget, 20)
  budget.take()
  t.equal(budget.replays, 3)
})
