import { STATUS_CODES } from 'node:http'
import { DeadlineError, EngineError } from './errors.js'
import { type Ledger, ledgerOf } from './ledger.js'

/** Methods that ask for no effect, RFC 9110 §9.2.1: repeating them is always allowed. */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** How deep an error of ours may be wrapped by libraries and still be found. */
const MAX_CAUSES = 10
const MAX_RETRY_AFTER_SECONDS = 30

/** What the decision about a failed reply depends on, besides the error. */
export interface FailedRequest {
  readonly method: string
  readonly ledger: Ledger | undefined
  /** The route is repeatable by its own design: `config: { db: { idempotent: true } }`. */
  readonly isIdempotent: boolean
}

export interface FailureReply {
  /** Whether repeating the request cannot apply anything twice. */
  readonly mayRepeat: boolean
  readonly statusCode: number
  readonly headers: Readonly<Record<string, string>>
}

/** An RFC 9457 problem; members beyond the RFC's are this package's. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code?: string
  readonly outcome?: string
  readonly retryable?: boolean
  readonly retry_after?: number
}

export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method)
}

/** The engine's error in a chain of causes, since libraries wrap what they are thrown. */
export function findEngineError(error: unknown): EngineError | undefined {
  return causesOf(error).find(cause => cause instanceof EngineError)
}

/** An error and its causes, as deep as they are looked at. */
export function causesOf(error: unknown): Error[] {
  const causes: Error[] = []
  for (let cause = error; cause instanceof Error && causes.length < MAX_CAUSES; cause = cause.cause)
    causes.push(cause)
  return causes
}

/** Status and headers of a reply that fails with this error. */
export function failureReply(error: EngineError, request: FailedRequest): FailureReply {
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  const isRepeatable = error.statusCode === 503 && mayRepeat(error, request)
  if (isRepeatable) {
    headers['retry-after'] = String(wholeSeconds(error.retryAfter ?? 1))
  }
  return { mayRepeat: isRepeatable, statusCode: error.statusCode, headers }
}

/** The body to send for an error, for the application's own error handler: it names no host, user or statement. */
export function toProblem(error: unknown): Problem {
  const found = findEngineError(error)
  if (found === undefined) return unknownProblem(error)
  const { code, message, outcome, retryable, retryAfter, statusCode } = found
  return {
    type: `urn:fastify-pg-engine:${code.slice('FST_DB_'.length).toLowerCase().replaceAll('_', '-')}`,
    title: message,
    status: statusCode,
    code,
    outcome,
    retryable,
    ...(retryable && statusCode === 503 && { retry_after: wholeSeconds(retryAfter ?? 1) })
  }
}

/** An error of anybody else's: its message may say anything, so it is not repeated. */
function unknownProblem(error: unknown): Problem {
  const given: unknown =
    error instanceof Error
      ? (Reflect.get(error, 'statusCode') ?? Reflect.get(error, 'status'))
      : undefined
  const status = typeof given === 'number' && given >= 400 && given < 600 ? given : 500
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Unknown', status }
}

/**
 * Retry-After tells clients to repeat the request (RFC 9110 §10.2.3), so it is sent only when that cannot apply
 * anything twice. What the engine's own methods (`app.db`) did for this request no ledger of the request has seen.
 */
function mayRepeat(error: EngineError, request: FailedRequest): boolean {
  // It would not take less time.
  if (error instanceof DeadlineError) return false
  if (request.isIdempotent) return true
  const ledger = ledgerOf(error)
  if (request.ledger?.permitsRepeat === false) return false
  if (ledger === undefined || ledger !== request.ledger) return isSafe(request.method)
  return error.retryable
}

function wholeSeconds(seconds: number): number {
  if (!(seconds > 1)) return 1
  return Math.min(MAX_RETRY_AFTER_SECONDS, Math.ceil(seconds))
}
