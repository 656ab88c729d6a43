import { CancelError, PingTimeoutError, SilenceError } from './session-errors.js'

/** What was going on when an error came. */
export type Phase = 'connect' | 'ping' | 'checkout' | 'statement' | 'reset' | 'idle'

/** How far an error reaches: no client, the client it came from, or every client of its generation. */
export type Scope = 'none' | 'client' | 'generation'

/**
 * What an error is about.
 *
 * - `disconnect`: a session was lost
 * - `unavailable`: no session could be opened now; waiting helps
 * - `too_many_connections`: the server is there and has no place left for a session
 * - `misconfigured`: no session will be opened until a person changes something
 * - `contention`: another transaction was in the way
 * - `read_only`: a write met a server that only reads
 * - `statement`: everything else; the session goes on
 */
export type Failure =
  | 'disconnect'
  | 'unavailable'
  | 'too_many_connections'
  | 'misconfigured'
  | 'contention'
  | 'read_only'
  | 'statement'

export interface Verdict {
  readonly failure: Failure
  readonly scope: Scope
  /**
   * Of a connect: somebody was there, and ended it under way. A server that shuts down does so, and whoever ends a
   * single session; which it was, the next connect tells.
   */
  readonly isCutShort?: boolean
}

const STATEMENT: Verdict = { failure: 'statement', scope: 'none' }
const CONTENTION: Verdict = { failure: 'contention', scope: 'none' }
const READ_ONLY: Verdict = { failure: 'read_only', scope: 'generation' }
const LOST_CLIENT: Verdict = { failure: 'disconnect', scope: 'client' }
const LOST_GENERATION: Verdict = { failure: 'disconnect', scope: 'generation' }
const UNAVAILABLE: Verdict = { failure: 'unavailable', scope: 'none' }
const CUT_SHORT: Verdict = { ...UNAVAILABLE, isCutShort: true }
const TOO_MANY_CONNECTIONS: Verdict = { failure: 'too_many_connections', scope: 'none' }
const MISCONFIGURED: Verdict = { failure: 'misconfigured', scope: 'none' }

/** Errors of a session that goes on (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
const STATEMENT_STATES = new Map<string, Verdict>([
  ['40001', CONTENTION], // serialization_failure
  ['40P01', CONTENTION], // deadlock_detected
  ['55P03', CONTENTION], // lock_not_available
  ['25006', READ_ONLY] // read_only_sql_transaction
])

/** FATAL errors that say something about this one session only; every other client may be well. */
const SESSION_STATES = new Set([
  '08P01', // protocol_violation: garbage on one wire
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '57P04', // database_dropped
  '57P05' // idle_session_timeout
])

/** FATAL errors that say that the server goes away: all clients go with it. */
const SERVER_STATES = new Set([
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03' // cannot_connect_now
])

/** SQLSTATE classes and codes of a login that a repetition will not mend: who, which database, which settings. */
const LOGIN_REFUSED = /^(0A|22|28|3D|42|55P02)/

/** The peer, or the way to it, is gone; with these no reply to anything sent before can come any more. */
const SOCKET_CODES = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'ENOTCONN',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_STREAM_DESTROYED',
  'ERR_STREAM_WRITE_AFTER_END'
])

/** What a connect fails with that was ended under way. A session that is not yet logged in is ended without a word. */
const CUT_SHORT_CODES = new Set<string | undefined>(['57P01', 'ECONNRESET', 'EPIPE', undefined])

/** A name that cannot be resolved, or a socket file that is not there: the server may come back under it. */
const ADDRESS_CODES = new Set([
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOENT',
  'ENOMEM',
  'ENOTFOUND'
])

/** Rights to a socket file, or a firewall of this host's own. */
const FORBIDDEN_CODES = new Set(['EACCES', 'EPERM'])

/** Certificates and TLS versions do not mend themselves; a reset during the handshake comes as ECONNRESET. */
const TLS_CODES =
  /^(EPROTO|ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH)/

/** The errors that `pg` makes itself have no code. The only place where texts decide; a test runs it against the installed `pg`. */
const DRIVER_TEXTS: readonly (readonly [RegExp, Verdict])[] = [
  [/^Connection terminated( unexpectedly)?$/, LOST_GENERATION],
  [/^Client has encountered a connection error and is not queryable$/, LOST_CLIENT],
  [/^Client was closed and is not queryable$/, LOST_CLIENT],
  [/^Query read timeout$/, LOST_CLIENT],
  [/^Received unexpected \w+ message from backend\.$/, LOST_CLIENT],
  [/^received invalid response: /, LOST_CLIENT],
  [/^(timeout expired|Connection terminated due to connection timeout)$/, UNAVAILABLE],
  [/^There was an error establishing an SSL connection$/, UNAVAILABLE],
  [/^The server does not support SSL connections$/, MISCONFIGURED],
  [/^Unknown authenticationOk message type/, MISCONFIGURED],
  [/^SASL\b/, MISCONFIGURED]
]

/** What only an attempt to open a session can fail with. */
const OF_LOGIN: ReadonlySet<Failure> = new Set([
  'unavailable',
  'too_many_connections',
  'misconfigured'
])

const PROGRAMMER_ERRORS = [TypeError, RangeError, ReferenceError, SyntaxError]

const exempt = new WeakSet<Error>()

/**
 * The error is judged already, and to be passed on as it is: it is of the caller's own code, of a value that cannot be
 * sent, or the hook has denied that a session was lost with it.
 */
export function exemptError(error: unknown): void {
  if (error instanceof Error) exempt.add(error)
}

/** Decides what an error means: what failed, and which clients it costs. */
export function classify(error: unknown, phase: Phase): Verdict {
  if (error instanceof PingTimeoutError || error instanceof CancelError) return LOST_CLIENT
  if (error instanceof SilenceError) return error.scope === 'client' ? LOST_CLIENT : LOST_GENERATION
  if (error instanceof Error && exempt.has(error)) return STATEMENT
  const verdict = bySource(error)
  if (phase === 'connect') return connectVerdict(error, verdict)
  // No answer to a ping but the right one is good, and nothing is lost by giving up a client nobody has.
  if (phase === 'ping' && verdict.failure !== 'disconnect') return LOST_CLIENT
  // In a session there is nothing left to configure: what would be refused at login, has been lost here.
  if (OF_LOGIN.has(verdict.failure)) return LOST_GENERATION
  return verdict
}

/** Whether the hook that overrides {@link classify} is to be asked: a programmer's mistake is nobody's disconnect. */
export function isDriverError(error: unknown): boolean {
  if (error instanceof Error && exempt.has(error)) return false
  return !PROGRAMMER_ERRORS.some(type => error instanceof type)
}

/** Whether a connect that failed shows that nobody is there; a name, a port or a file that was not to be had does not. */
export function isPeerGone(error: unknown): boolean {
  const code = errorCode(error)
  return code === undefined ? bySource(error) === LOST_GENERATION : SOCKET_CODES.has(code)
}

/** The SQLSTATE or the system's error code, also out of an `AggregateError` of a host with several addresses. */
export function errorCode(error: unknown): string | undefined {
  const code = property(error, 'code')
  if (typeof code === 'string') return code
  if (!(error instanceof AggregateError)) return undefined
  for (const inner of error.errors) {
    const innerCode = property(inner, 'code')
    if (typeof innerCode === 'string') return innerCode
  }
  return undefined
}

function bySource(error: unknown): Verdict {
  const code = errorCode(error)
  const severity = property(error, 'severity')
  if (typeof severity === 'string') return bySqlState(code, severity)
  if (code !== undefined) return bySystemCode(code)
  const message = property(error, 'message')
  if (typeof message !== 'string') return STATEMENT
  return DRIVER_TEXTS.find(([text]) => text.test(message))?.[1] ?? STATEMENT
}

/**
 * ERROR never ends a session, whatever its SQLSTATE: `dblink` and `RAISE` may use any. The severity is
 * translated by `lc_messages`, so known states also count under a severity that is no English word.
 */
function bySqlState(state: string | undefined, severity: string): Verdict {
  if (state === undefined) return LOST_CLIENT
  const ofStatement = STATEMENT_STATES.get(state)
  if (ofStatement) return ofStatement
  if (severity === 'ERROR') return STATEMENT
  if (SESSION_STATES.has(state)) return LOST_CLIENT
  if (SERVER_STATES.has(state) || state.startsWith('08')) return LOST_GENERATION
  if (state === '53300') return TOO_MANY_CONNECTIONS
  return severity === 'FATAL' || severity === 'PANIC' ? LOST_CLIENT : STATEMENT
}

function bySystemCode(code: string): Verdict {
  if (SOCKET_CODES.has(code)) return LOST_GENERATION
  if (ADDRESS_CODES.has(code)) return UNAVAILABLE
  if (TLS_CODES.test(code) || FORBIDDEN_CODES.has(code)) return MISCONFIGURED
  return STATEMENT
}

/** Before there is a session there is no client to lose, and a refusal either passes or does not. */
function connectVerdict(error: unknown, verdict: Verdict): Verdict {
  const severity = property(error, 'severity')
  const isRefusal = typeof severity === 'string' && severity !== 'ERROR'
  if (isRefusal && LOGIN_REFUSED.test(errorCode(error) ?? '')) return MISCONFIGURED
  if (verdict.failure !== 'disconnect') return verdict
  return verdict === LOST_GENERATION && CUT_SHORT_CODES.has(errorCode(error))
    ? CUT_SHORT
    : UNAVAILABLE
}

function property(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Reflect.get(value, key)
}
