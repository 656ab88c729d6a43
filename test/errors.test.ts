import { inspect } from 'node:util'
import t from 'tap'
import * as errors from '../src/errors.js'
import { EngineError, type EngineErrorOptions } from '../src/errors.js'

const SECRETS = ['db.internal', 'app_user', 'hunter2', 'select * from notes']
const CAUSE = new Error(`connect ECONNREFUSED ${SECRETS.join(' ')}`)

type Make = (options?: EngineErrorOptions) => EngineError

/** The server has undone the statement; what it tells of the request is the ledger's. */
const UNDONE = { retryable: true, outcome: /^(none|rolled_back)$/ }

/** Every error of ours: code, status, and what it claims when it is told nothing. */
const TABLE: [Make, string, number, Partial<Record<keyof EngineError, unknown>>][] = [
  [o => new errors.UnavailableError(o), 'UNAVAILABLE', 503, { retryable: true }],
  [o => new errors.PoolTimeoutError(o), 'POOL_TIMEOUT', 503, { retryable: true }],
  [o => new errors.OverloadedError(o), 'OVERLOADED', 503, { retryable: true }],
  [o => new errors.DisconnectedError(o), 'DISCONNECTED', 503, { retryable: true }],
  [o => new errors.OutcomeUnknownError(o), 'OUTCOME_UNKNOWN', 503, { outcome: 'unknown' }],
  [o => new errors.PartlyAppliedError(o), 'PARTLY_APPLIED', 503, { outcome: 'applied' }],
  [o => new errors.ContentionError(o), 'CONTENTION', 503, { ...UNDONE, retryAfter: 1 }],
  [o => new errors.ReadOnlyError(o), 'READ_ONLY', 503, UNDONE],
  [o => new errors.EngineClosedError(o), 'ENGINE_CLOSED', 503, { retryable: true }],
  [o => new errors.DeadlineError(o), 'DEADLINE', 503, {}],
  [o => new errors.ClientGoneError(o), 'CLIENT_GONE', 499, {}],
  [o => new errors.MisconfiguredError(o), 'MISCONFIGURED', 500, {}],
  [o => new errors.PendingRollbackError(o), 'PENDING_ROLLBACK', 500, {}],
  [o => new errors.RolledBackError(o), 'ROLLED_BACK', 500, { outcome: 'rolled_back' }],
  [o => new errors.ConnectionClosedError(o), 'CONNECTION_CLOSED', 500, {}],
  [o => new errors.ListenerError('checkout', o), 'LISTENER', 500, {}],
  [o => new errors.TransactionStateError('Out of order', o), 'TRANSACTION_STATE', 500, {}],
  [o => new errors.InvalidOptionsError('Not an option', o), 'INVALID_OPTIONS', 500, {}]
]

t.test('each error has its code, its status, and the claims it can answer for', async t => {
  for (const [make, code, statusCode, claims] of TABLE) {
    const error = make()
    t.match(error, {
      code: `FST_DB_${code}`,
      statusCode,
      outcome: 'none',
      retryable: false,
      connectionInvalidated: false,
      ...claims
    })
    t.equal(error.retryAfter, claims.retryAfter, `${code} promises no time`)
    t.ok(error instanceof EngineError && error instanceof Error)
  }
})

t.test('the table is complete, and no two errors share a code', async t => {
  const classes = Object.entries(errors).filter(([name]) => name !== 'EngineError')
  const names = TABLE.map(([make]) => make().name)
  t.strictSame(names.toSorted(), classes.map(([name]) => name).toSorted())
  t.equal(new Set(TABLE.map(([make]) => make().code)).size, TABLE.length)
})

t.test('an error is named after its class, in its stack too', async t => {
  for (const [make] of TABLE) {
    const error = make()
    t.equal(error.name, error.constructor.name)
    t.equal(String(error), `${error.name}: ${error.message}`)
    t.ok(inspect(error).includes(error.name), error.name)
  }
})

t.test('an error can be told everything, but for its message', async t => {
  const told = {
    cause: CAUSE,
    outcome: 'applied',
    retryable: false,
    retryAfter: 7,
    connectionInvalidated: true
  } as const
  for (const [make] of TABLE) {
    t.match(make(told), told)
    t.equal(make(told).message, make().message)
  }
})

t.test('a cause is there when it was given, whatever it is, and only then', async t => {
  for (const [make] of TABLE) {
    t.notOk('cause' in make())
    t.equal(make({ cause: 'a string' }).cause, 'a string')
    const withUndefined = make({ cause: undefined })
    t.ok('cause' in withUndefined)
    t.equal(withUndefined.cause, undefined)
  }
})

t.test('C07 L08: what reaches a client names no host, user, password or statement', async t => {
  for (const [make] of TABLE) {
    const error = make({ cause: CAUSE })
    const sent = `${error} ${error.code} ${JSON.stringify(error)} ${Object.values(error).join(' ')}`
    for (const secret of SECRETS) t.notOk(sent.includes(secret), `${error.name}: ${secret}`)
  }
})
