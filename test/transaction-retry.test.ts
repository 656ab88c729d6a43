import t from 'tap'
import {
  ContentionError,
  DisconnectedError,
  OutcomeUnknownError,
  PartlyAppliedError,
  PendingRollbackError,
  PoolTimeoutError,
  ReadOnlyError,
  RolledBackError,
  UnavailableError
} from '../src/errors.js'
import { ReplayBudget } from '../src/replay.js'
import { assertRetries, type RetryParts, withRetries } from '../src/transaction-retry.js'

function contention(code: string): ContentionError {
  return new ContentionError({ cause: Object.assign(new Error('collided'), { code }) })
}

/** Runs work that fails with each of the errors in turn, then succeeds. */
async function attempt(errors: readonly unknown[], parts: Partial<RetryParts> = {}) {
  const seen = { runs: 0, retried: [] as Error[], pauses: [] as number[] }
  const run = async () => {
    seen.runs += 1
    if (seen.runs <= errors.length) throw errors[seen.runs - 1]
    return 'done'
  }
  const settled = await withRetries(run, {
    retries: 2,
    budget: new ReplayBudget(5),
    mayHaveLeftSomething: () => false,
    onRetry: error => seen.retried.push(error),
    pause: async ms => void seen.pauses.push(ms),
    random: () => 0.5,
    ...parts
  }).then(
    result => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error })
  )
  return { ...seen, ...settled }
}

t.test('what succeeds is run once, and draws on no budget', async t => {
  const budget = new ReplayBudget(5)
  t.match(await attempt([], { budget }), { runs: 1, result: 'done', retried: [], pauses: [] })
  t.equal(budget.replays, 0)
})

t.test(
  'a serialization failure, a deadlock and a disconnect that left nothing are run again',
  async t => {
    for (const error of [contention('40001'), contention('40P01'), new DisconnectedError()]) {
      const { result, retried, runs } = await attempt([error])
      t.match({ result, runs }, { result: 'done', runs: 2 })
      t.strictSame(retried, [error])
    }
  }
)

t.test('so is one whose statement was not what it was prepared as', async t => {
  const ofServer = (code: string, routine: string) =>
    Object.assign(new Error(code), { code, routine })
  const stale = ofServer('0A000', 'RevalidateCachedQuery')
  t.match(await attempt([stale]), { runs: 2, result: 'done', retried: [stale] })
  const missing = ofServer('26000', 'FetchPreparedStatement')
  t.match(await attempt([missing]), { runs: 2, result: 'done' })
  t.match(await attempt([ofServer('0A000', 'transformTopLevelStmt')]), { runs: 1 })
})

t.test('nothing is run again of which something may be left', async t => {
  const budget = new ReplayBudget(5)
  const parts = { budget, mayHaveLeftSomething: () => true }
  t.match(await attempt([contention('40001')], parts), { runs: 1, retried: [] })
  t.equal(budget.replays, 0)
})

t.test('no other failure is run again', async t => {
  const errors = [
    contention('55P03'),
    new ContentionError(),
    new OutcomeUnknownError(),
    new PartlyAppliedError(),
    new PendingRollbackError(),
    new RolledBackError(),
    new ReadOnlyError(),
    new UnavailableError(),
    new PoolTimeoutError(),
    Object.assign(new Error('serialization'), { code: '40001' }),
    'a string',
    undefined
  ]
  for (const error of errors) {
    const seen = await attempt([error])
    t.match(seen, { runs: 1, retried: [], pauses: [] })
    t.equal(seen.error, error)
  }
})

t.test(
  'R56: it is run again as often as was asked, and then fails with the last error',
  async t => {
    const errors = [contention('40001'), new DisconnectedError(), contention('40P01')]
    for (const retries of [0, 1, 2]) {
      const seen = await attempt(errors, { retries })
      t.equal(seen.runs, retries + 1)
      t.equal(seen.error, errors[retries])
    }
    t.match(await attempt(errors, { retries: 3 }), { runs: 4, result: 'done' })
  }
)

t.test('a failure that is not to be repeated ends it, however many are left', async t => {
  const last = new OutcomeUnknownError()
  const seen = await attempt([contention('40001'), last], { retries: 10 })
  t.match(seen, { runs: 2 })
  t.equal(seen.error, last)
})

t.test('an exhausted budget ends it', async t => {
  const budget = new ReplayBudget(1)
  const errors = Array.from({ length: 9 }, () => contention('40001'))
  const seen = await attempt(errors, { retries: 9, budget })
  t.match(seen, { runs: 3, error: { code: 'FST_DB_CONTENTION' } })
  t.equal(budget.replays, 2)
  t.match(await attempt(errors, { retries: 9, budget }), { runs: 1 })
})

t.test('before each repetition there is a pause, of random length', async t => {
  const errors = [contention('40001'), contention('40001')]
  for (const [random, ms] of [
    [0, 5],
    [0.5, 27.5],
    [1, 50]
  ] as const) {
    const { pauses } = await attempt(errors, { random: () => random })
    t.strictSame(pauses, [ms, ms])
  }
  const failed = await attempt(errors, { retries: 1 })
  t.equal(failed.pauses.length, 1, 'none before it gives up')
})

t.test('it is run again after its pause, not before', async t => {
  const events: string[] = []
  await withRetries(
    async () => {
      events.push('run')
      if (events.length === 1) throw contention('40001')
    },
    {
      retries: 1,
      budget: new ReplayBudget(1),
      mayHaveLeftSomething: () => false,
      onRetry: () => events.push('told'),
      pause: async () => {
        await null
        events.push('paused')
      },
      random: Math.random
    }
  )
  t.strictSame(events, ['run', 'told', 'paused', 'run'])
})

t.test('retries are a whole number, 0 or more', async t => {
  for (const retries of [0, 1, 100]) t.doesNotThrow(() => assertRetries(retries))
  for (const retries of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null, true, {}]) {
    t.throws(() => assertRetries(retries), { name: 'TypeError', message: String(retries) })
  }
})
