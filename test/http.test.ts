import t from 'tap'
import type { EngineError, EngineErrorOptions } from '../src/errors.js'
import * as errors from '../src/errors.js'
import { type FailedRequest, failureReply, findEngineError, toProblem } from '../src/http.js'
import { Ledger, recordLedger } from '../src/ledger.js'

const SAFE = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE', 'get', 'CONNECT']
const retryable = (options: EngineErrorOptions = {}) => [
  new errors.UnavailableError(options),
  new errors.PoolTimeoutError(options),
  new errors.OverloadedError(options),
  new errors.DisconnectedError(options),
  new errors.ContentionError(options),
  new errors.ReadOnlyError(options),
  new errors.EngineClosedError(options)
]

const final = (options: EngineErrorOptions = {}) => [
  new errors.MisconfiguredError(options),
  new errors.PendingRollbackError(options),
  new errors.RolledBackError(options),
  new errors.ConnectionClosedError(options),
  new errors.ListenerError('checkout', options),
  new errors.TransactionStateError('Out of order', options),
  new errors.InvalidOptionsError('Not an option', options)
]

/** Of which it is not known that they left nothing behind. */
const doubtful = (options: EngineErrorOptions = {}) => [
  new errors.OutcomeUnknownError(options),
  new errors.PartlyAppliedError(options)
]

/** Whether the reply to a request of `ledger` that failed with an error of its own tells to repeat it. */
function tellsToRepeat(error: EngineError, request: Partial<FailedRequest>): boolean {
  const reply = failureReply(error, {
    method: 'POST',
    ledger: undefined,
    isIdempotent: false,
    ...request
  })
  // Whoever writes the body must be able to say the same.
  if ('retry-after' in reply.headers !== reply.mayRepeat) throw new Error('It says both')
  return reply.mayRepeat
}

/** An error of work that has sent nothing yet, or something, with its ledger. */
function failed(error: EngineError, { written }: { written: boolean }) {
  const ledger = new Ledger()
  if (written) ledger.open().written('change', false)
  recordLedger(error, ledger)
  return { error, ledger }
}

t.test('every failure is sent with its status, and kept by nobody', async t => {
  for (const error of [...retryable(), ...final(), ...doubtful()]) {
    const request = { method: 'POST', ledger: undefined, isIdempotent: false }
    const { statusCode, headers } = failureReply(error, request)
    t.equal(statusCode, error.statusCode)
    t.equal(headers['cache-control'], 'no-store')
  }
})

t.test('X49 X50: a request that has done nothing is told when to come again', async t => {
  for (const error of retryable()) {
    for (const method of [...SAFE, ...UNSAFE]) {
      const { ledger } = failed(error, { written: false })
      t.ok(tellsToRepeat(error, { method, ledger }), `${error.code} ${method}`)
    }
  }
})

t.test('X57: a request that may have done something is not, whatever its method', async t => {
  for (const error of [...retryable(), ...doubtful()]) {
    for (const method of [...SAFE, ...UNSAFE]) {
      const { ledger } = failed(error, { written: true })
      t.notOk(tellsToRepeat(error, { method, ledger }), `${error.code} ${method}`)
    }
  }
})

t.test('X57: what was done after the error counts too', async t => {
  const { error, ledger } = failed(new errors.PoolTimeoutError(), { written: false })
  ledger.open().written('change', false)
  t.notOk(tellsToRepeat(error, { ledger }))
})

t.test('an error that allows no repetition is not overruled by its ledger', async t => {
  for (const error of doubtful()) {
    const { ledger } = failed(error, { written: false })
    t.notOk(tellsToRepeat(error, { ledger }), error.code)
  }
})

t.test('what no ledger of the request has seen is repeated by safe methods only', async t => {
  const foreign = failed(new errors.DisconnectedError(), { written: false }).error
  for (const error of [new errors.UnavailableError(), foreign]) {
    for (const ledger of [undefined, new Ledger()]) {
      for (const method of SAFE) t.ok(tellsToRepeat(error, { method, ledger }), method)
      for (const method of UNSAFE) t.notOk(tellsToRepeat(error, { method, ledger }), method)
    }
  }
})

t.test('a route that is idempotent by its own design may always be repeated', async t => {
  for (const error of [...retryable(), ...doubtful()]) {
    const { ledger } = failed(error, { written: true })
    t.ok(tellsToRepeat(error, { ledger, isIdempotent: true }), error.code)
    t.ok(tellsToRepeat(error, { isIdempotent: true }), error.code)
  }
})

t.test('X33: what waiting does not mend is never to be repeated', async t => {
  for (const error of final()) {
    const { ledger } = failed(error, { written: false })
    t.notOk(tellsToRepeat(error, { method: 'GET', ledger, isIdempotent: true }), error.code)
  }
})

t.test('Retry-After is whole seconds, from 1 to 30', async t => {
  const rows: [number | undefined, string][] = [
    [undefined, '1'],
    [-5, '1'],
    [0, '1'],
    [0.2, '1'],
    [1, '1'],
    [1.01, '2'],
    [29.5, '30'],
    [30, '30'],
    [31, '30'],
    [1e12, '30'],
    [Number.POSITIVE_INFINITY, '30'],
    [Number.NaN, '1']
  ]
  for (const [retryAfter, header] of rows) {
    const error = new errors.UnavailableError(retryAfter === undefined ? {} : { retryAfter })
    const request = { method: 'GET', ledger: undefined, isIdempotent: false }
    t.equal(failureReply(error, request).headers['retry-after'], header, `${retryAfter}`)
    t.equal(toProblem(error).retry_after, Number(header))
  }
})

t.test('a problem says what the headers say, and what is known', async t => {
  t.strictSame(toProblem(new errors.UnavailableError({ retryAfter: 1.5 })), {
    type: 'urn:fastify-pg-engine:unavailable',
    title: 'The database is not available',
    status: 503,
    code: 'FST_DB_UNAVAILABLE',
    outcome: 'none',
    retryable: true,
    retry_after: 2
  })
  t.match(toProblem(new errors.OutcomeUnknownError({ retryAfter: 1 })), {
    type: 'urn:fastify-pg-engine:outcome-unknown',
    status: 503,
    outcome: 'unknown',
    retryable: false,
    retry_after: undefined
  })
})

t.test('what a problem promises is what the error allows now', async t => {
  const error = new errors.PoolTimeoutError({ retryAfter: 3 })
  t.match(toProblem(error), { retryable: true, retry_after: 3 })
  error.retryable = false
  t.match(toProblem(error), { retryable: false, retry_after: undefined })
  const misconfigured = new errors.MisconfiguredError({ retryable: true, retryAfter: 3 })
  t.equal(toProblem(misconfigured).retry_after, undefined, 'waiting does not help')
})

t.test('C07 L08: a problem names no host, user, statement or parameter', async t => {
  const secret = 'db.internal notes_user hunter2 select'
  const cause = Object.assign(new Error(secret), { code: '28P01', detail: secret, query: secret })
  for (const error of [...retryable({ cause }), ...doubtful({ cause }), ...final({ cause })]) {
    t.notMatch(JSON.stringify(toProblem(error)), /hunter2|db\.internal|notes_user/)
  }
  t.strictSame(toProblem(cause), {
    type: 'about:blank',
    title: 'Internal Server Error',
    status: 500
  })
})

t.test('an error of anybody else keeps its status, and nothing else', async t => {
  const rows: [unknown, number, string][] = [
    [404, 404, 'Not Found'],
    [503, 503, 'Service Unavailable'],
    [200, 500, 'Internal Server Error'],
    [600, 500, 'Internal Server Error'],
    ['404', 500, 'Internal Server Error'],
    [undefined, 500, 'Internal Server Error']
  ]
  for (const [statusCode, status, title] of rows) {
    const error = Object.assign(new Error('relation "secrets" does not exist'), { statusCode })
    t.strictSame(toProblem(error), { type: 'about:blank', title, status })
  }
  // As Fastify has it, for libraries that call it so.
  t.match(toProblem(Object.assign(new Error(), { status: 404 })), { status: 404 })
  for (const thrown of ['a string', null, undefined, 5]) {
    t.match(toProblem(thrown), { status: 500, type: 'about:blank' })
  }
})

t.test('an error of ours is found however often libraries have wrapped it', async t => {
  const ours = new errors.DisconnectedError()
  t.equal(findEngineError(ours), ours)
  t.equal(findEngineError(wrap(ours, 1)), ours)
  t.equal(findEngineError(wrap(ours, 9)), ours)
  t.equal(findEngineError(wrap(ours, 1000)), undefined, 'it does not search for ever')
  t.equal(
    findEngineError(wrap(new errors.PoolTimeoutError({ cause: ours }), 1))?.name,
    'PoolTimeoutError'
  )
  t.equal(toProblem(wrap(ours, 3)).code, 'FST_DB_DISCONNECTED')
})

t.test('a chain of causes may be a circle, or end anywhere', async t => {
  const circle = new Error('one')
  circle.cause = new Error('other', { cause: circle })
  const own = new Error('its own cause')
  own.cause = own
  const ends = [circle, own, new Error(), new Error('', { cause: 'text' }), 'text', null, undefined]
  for (const error of ends) t.equal(findEngineError(error), undefined)
})

function wrap(error: Error, times: number): Error {
  return times === 0 ? error : new Error('wrapped', { cause: wrap(error, times - 1) })
}
