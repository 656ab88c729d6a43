import t from 'tap'
import type { Failure, Scope } from '../src/disconnect.js'
import {
  ConnectionClosedError,
  EngineError,
  type Outcome,
  OverloadedError,
  PoolTimeoutError
} from '../src/errors.js'
import { Ledger, ledgerOf } from '../src/ledger.js'
import { translate } from '../src/translate.js'

const CAUSE = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), { code: '57P01' })
const STATEMENT = { failure: 'statement', scope: 'none' } as const

/** The ledger of a request that has this to say for itself. */
function ledgerWith(outcome: Outcome): Ledger {
  const ledger = new Ledger()
  const account = ledger.open()
  if (outcome !== 'none') account.written('change', outcome === 'rolled_back')
  if (outcome === 'applied') account.answered('done', 'INSERT', false)
  return ledger
}

function translated(failure: Failure, scope: Scope, ledger: Ledger): EngineError {
  const error = translate(CAUSE, { failure, scope }, ledger)
  if (error instanceof EngineError) return error
  throw new Error('Expected an error of ours')
}

t.test('when to come back is the wait for a server, or for a client of those in use', async t => {
  const asked: string[] = []
  const wait = (ms: number) => (want: string) => {
    asked.push(want)
    return ms
  }
  const after = (error: unknown, ms: number): number => {
    const verdict = { failure: 'unavailable', scope: 'none' } as const
    const told = translate(error, verdict, new Ledger(), wait(ms))
    return told instanceof EngineError ? (told.retryAfter ?? 0) : 0
  }
  t.equal(after(CAUSE, 0), 1)
  t.equal(after(CAUSE, 999), 1)
  const later = Array.from({ length: 100 }, () => after(new PoolTimeoutError(), 4000))
  t.ok(Math.min(...later) >= 4 && Math.max(...later) <= 6, 'never sooner, later by chance')
  t.ok(new Set(later).size > 1)
  t.equal(after(new OverloadedError(), 0), 1)
  t.strictSame([...new Set(asked)], ['server', 'client'])
})

t.test('E01: each failure of the database has its error, with what the driver said', async t => {
  const rows: [Failure, Scope, string, number][] = [
    ['disconnect', 'client', 'FST_DB_DISCONNECTED', 503],
    ['disconnect', 'generation', 'FST_DB_DISCONNECTED', 503],
    ['unavailable', 'none', 'FST_DB_UNAVAILABLE', 503],
    ['too_many_connections', 'none', 'FST_DB_UNAVAILABLE', 503],
    ['contention', 'none', 'FST_DB_CONTENTION', 503],
    ['read_only', 'generation', 'FST_DB_READ_ONLY', 503],
    ['misconfigured', 'none', 'FST_DB_MISCONFIGURED', 500]
  ]
  for (const [failure, scope, code, statusCode] of rows) {
    const ledger = ledgerWith('none')
    const error = translated(failure, scope, ledger)
    t.match(error, { code, statusCode, outcome: 'none', retryable: statusCode === 503 })
    t.equal(error.cause, CAUSE)
    t.equal(error.connectionInvalidated, scope !== 'none')
    t.equal(error.retryAfter, statusCode === 503 ? 1 : undefined)
    t.equal(ledgerOf(error), ledger)
  }
})

t.test('X57: a disconnect is named after what it leaves behind', async t => {
  const rows: [Outcome, string, boolean][] = [
    ['none', 'FST_DB_DISCONNECTED', true],
    ['rolled_back', 'FST_DB_DISCONNECTED', true],
    ['unknown', 'FST_DB_OUTCOME_UNKNOWN', false],
    ['applied', 'FST_DB_PARTLY_APPLIED', false]
  ]
  for (const [outcome, code, retryable] of rows) {
    const error = translated('disconnect', 'client', ledgerWith(outcome))
    t.match(error, { code, outcome, retryable, statusCode: 503, connectionInvalidated: true })
  }
})

t.test('what an error allows by its kind, the request may have forfeited', async t => {
  for (const failure of ['unavailable', 'contention', 'read_only'] as const) {
    for (const outcome of ['none', 'rolled_back'] as const) {
      t.match(translated(failure, 'none', ledgerWith(outcome)), { outcome, retryable: true })
    }
    for (const outcome of ['unknown', 'applied'] as const) {
      t.match(translated(failure, 'none', ledgerWith(outcome)), { outcome, retryable: false })
    }
  }
  t.notOk(translated('misconfigured', 'none', ledgerWith('none')).retryable)
})

t.test(
  'X58: an error of ours stays the one that it is, and says what the request has done',
  async t => {
    for (const outcome of ['none', 'rolled_back', 'unknown', 'applied'] as const) {
      const ledger = ledgerWith(outcome)
      const timeout = new PoolTimeoutError({ retryAfter: 7 })
      t.equal(translate(timeout, STATEMENT, ledger), timeout)
      t.match(timeout, { outcome, retryable: ledger.permitsRepeat, retryAfter: 7 })
      t.equal(ledgerOf(timeout), ledger)
    }
    const closed = new ConnectionClosedError()
    const verdict = { failure: 'disconnect', scope: 'client' } as const
    t.equal(translate(closed, verdict, ledgerWith('none')), closed)
    t.match(closed, { retryable: false, connectionInvalidated: false })
    t.equal(closed.retryAfter, undefined, 'waiting does not help')
  }
)

t.test('X31: an error of the statement is the one of the driver, untouched', async t => {
  const frozen = Object.freeze(new Error('canceling statement'))
  for (const error of [frozen, 'a string', undefined, null]) {
    t.equal(translate(error, STATEMENT, ledgerWith('applied')), error)
  }
  t.equal(ledgerOf(frozen), undefined)
})

t.test('whatever was thrown can be the cause', async t => {
  for (const thrown of ['a string', undefined, null, 5]) {
    const error = translate(thrown, { failure: 'unavailable', scope: 'none' }, new Ledger())
    t.match(error, { code: 'FST_DB_UNAVAILABLE' })
    t.equal(error instanceof EngineError && error.cause, thrown)
  }
})

t.test('one driver error of several statements becomes an error for each', async t => {
  const [one, other] = [ledgerWith('none'), ledgerWith('unknown')]
  const first = translated('disconnect', 'client', one)
  const second = translated('disconnect', 'client', other)
  t.match(first, { code: 'FST_DB_DISCONNECTED', retryable: true })
  t.match(second, { code: 'FST_DB_OUTCOME_UNKNOWN', retryable: false })
  t.strictSame([ledgerOf(first), ledgerOf(second)], [one, other])
})
