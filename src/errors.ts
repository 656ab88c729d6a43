/**
 * What is known about the effects of the work that failed; while a transaction is open, what would be left if it were
 * lost.
 *
 * - `none`: nothing was sent that could have had an effect
 * - `rolled_back`: effects were sent, and the server has undone them
 * - `applied`: at least one effect is known to have been committed
 * - `unknown`: nobody can say
 */
export type Outcome = 'none' | 'rolled_back' | 'applied' | 'unknown'

/** What an {@link EngineError} may be told besides its message. */
export interface EngineErrorOptions {
  /** The driver's or server's own error. It may name hosts and users: for logs, never for a reply. */
  cause?: unknown
  outcome?: Outcome
  /** Whether repeating the work cannot apply anything twice. */
  retryable?: boolean
  /** Seconds after which repeating makes sense, if it is allowed at all: see `retryable`. */
  retryAfter?: number
  connectionInvalidated?: boolean
}

/**
 * The base of every error this package makes. `message` and `code` reach the HTTP client as they are, so they
 * name no host, user, statement or parameter; what the server or driver said is in `cause`.
 */
export abstract class EngineError extends Error {
  abstract readonly code: string
  /** HTTP status of a reply that fails with this error (RFC 9110 §15). */
  abstract readonly statusCode: number
  outcome: Outcome
  retryable: boolean
  retryAfter: number | undefined
  /** Whether the client this error came from was replaced. */
  connectionInvalidated: boolean

  constructor(message: string, options: EngineErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.outcome = options.outcome ?? 'none'
    this.retryable = options.retryable ?? false
    this.retryAfter = options.retryAfter
    this.connectionInvalidated = options.connectionInvalidated ?? false
  }

  override get name(): string {
    return this.constructor.name
  }
}

/** The server cannot be reached or does not accept connections now (refused, starting up, DNS, time-out, too many clients). */
export class UnavailableError extends EngineError {
  readonly code = 'FST_DB_UNAVAILABLE'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database is not available', { retryable: true, ...options })
  }
}

/** No connection became free within the deadline of the checkout. SQLAlchemy: `TimeoutError`. */
export class PoolTimeoutError extends EngineError {
  readonly code = 'FST_DB_POOL_TIMEOUT'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('No database connection became available in time', { retryable: true, ...options })
  }
}

/** `pool_max_waiting` checkouts are waiting already. */
export class OverloadedError extends EngineError {
  readonly code = 'FST_DB_OVERLOADED'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('Too many requests wait for a database connection', { retryable: true, ...options })
  }
}

/** The connection was lost, and nothing was applied. */
export class DisconnectedError extends EngineError {
  readonly code = 'FST_DB_DISCONNECTED'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database connection was lost; nothing was applied', { retryable: true, ...options })
  }
}

/** The connection was lost, and whether the work took effect is not known. */
export class OutcomeUnknownError extends EngineError {
  readonly code = 'FST_DB_OUTCOME_UNKNOWN'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database connection was lost; whether the request took effect is not known', {
      outcome: 'unknown',
      ...options
    })
  }
}

/** The connection was lost, and something had been applied before. */
export class PartlyAppliedError extends EngineError {
  readonly code = 'FST_DB_PARTLY_APPLIED'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database connection was lost after a part of the request had been applied', {
      outcome: 'applied',
      ...options
    })
  }
}

/** A deadlock, a serialization failure or a lock that was not to be had (SQLSTATE 40P01, 40001, 55P03). */
export class ContentionError extends EngineError {
  readonly code = 'FST_DB_CONTENTION'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The request collided with another one', { retryable: true, retryAfter: 1, ...options })
  }
}

/** A write met a server that only reads (SQLSTATE 25006): it is a standby now. */
export class ReadOnlyError extends EngineError {
  readonly code = 'FST_DB_READ_ONLY'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database accepts no writes now', { retryable: true, ...options })
  }
}

/** The server refuses us for good: password, database name, certificate. Waiting does not help, a person must. */
export class MisconfiguredError extends EngineError {
  readonly code = 'FST_DB_MISCONFIGURED'
  readonly statusCode = 500

  constructor(options: EngineErrorOptions = {}) {
    super('The database refused the connection settings; see the log for its own words', options)
  }
}

/** A transaction was lost with its connection and has not been rolled back yet. SQLAlchemy: `PendingRollbackError`. */
export class PendingRollbackError extends EngineError {
  readonly code = 'FST_DB_PENDING_ROLLBACK'
  readonly statusCode = 500

  constructor(options: EngineErrorOptions = {}) {
    super(
      'The transaction was lost with its connection; roll it back before the next statement',
      options
    )
  }
}

/** COMMIT was answered ROLLBACK: a statement had failed and its error was swallowed. */
export class RolledBackError extends EngineError {
  readonly code = 'FST_DB_ROLLED_BACK'
  readonly statusCode = 500

  constructor(options: EngineErrorOptions = {}) {
    super('The transaction had failed, so that COMMIT rolled it back', {
      outcome: 'rolled_back',
      ...options
    })
  }
}

/** The transaction API was used out of order; the message says how. */
export class TransactionStateError extends EngineError {
  readonly code = 'FST_DB_TRANSACTION_STATE'
  readonly statusCode = 500
}

/** A connection was used after it was given back for good. SQLAlchemy: `ResourceClosedError`. */
export class ConnectionClosedError extends EngineError {
  readonly code = 'FST_DB_CONNECTION_CLOSED'
  readonly statusCode = 500

  constructor(options: EngineErrorOptions = {}) {
    super('The database connection was used after it was released', options)
  }
}

/** The HTTP client left before it was answered: what its request still ran or waited for was called off. */
export class ClientGoneError extends EngineError {
  readonly code = 'FST_DB_CLIENT_GONE'
  /** Nobody is there to see it; log lines do (nginx's "client closed request"). */
  readonly statusCode = 499

  constructor(options: EngineErrorOptions = {}) {
    super('The client left before its request was answered', options)
  }
}

/** The time limit of the request, or of the statement, passed: `config.db.timeout`, `handlerTimeout`, `timeout`. */
export class DeadlineError extends EngineError {
  readonly code = 'FST_DB_DEADLINE'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database did not answer within the time limit of the request', options)
  }
}

/** The engine is closed, or closing: `app.close()` was called. */
export class EngineClosedError extends EngineError {
  readonly code = 'FST_DB_ENGINE_CLOSED'
  readonly statusCode = 503

  constructor(options: EngineErrorOptions = {}) {
    super('The database engine is closed', { retryable: true, ...options })
  }
}

/** A listener of `first_connect`, `connect` or `checkout` failed for a reason of its own. */
export class ListenerError extends EngineError {
  readonly code = 'FST_DB_LISTENER'
  readonly statusCode = 500

  constructor(event: string, options: EngineErrorOptions = {}) {
    super(`A listener of the database engine's '${event}' event failed`, options)
  }
}

/** The options do not describe an engine; the app does not boot. */
export class InvalidOptionsError extends EngineError {
  readonly code = 'FST_DB_INVALID_OPTIONS'
  readonly statusCode = 500
}
