import type { Client as PgClient, QueryConfig, Submittable } from 'pg'
import { TransactionStateError } from './errors.js'
import type { Ledger } from './ledger.js'
import type { CheckoutRequest } from './pool/checkout.js'
import type { QueryRecorder, RecordedQuery } from './query-record.js'
import type { SessionQueryable, TransactionOptions } from './queryable.js'
import { Session, type SessionHost } from './session.js'
import { StatementRunner } from './statement-runner.js'
import { isSubmittable } from './submittable.js'
import { overlapping, runTransaction, type Transaction } from './transaction.js'

export interface ConnectionParts {
  readonly ledger: Ledger
  /** `release()` is not the end: a later statement takes another client. */
  readonly isRequest: boolean
  /** For engines whose statements are recorded or logged. */
  readonly recorder?: QueryRecorder | undefined
}

/**
 * `req.db`, or what `app.db.connect()` gives: what people hold. It takes a client with the first statement, and
 * outlives it: after a disconnect the next statement gets another one, but not before a transaction that was lost
 * with the first has been rolled back. SQLAlchemy's `Connection`.
 */
export class Connection implements SessionQueryable, AsyncDisposable {
  readonly #session: Session
  readonly #runner: StatementRunner
  readonly #parts: ConnectionParts

  constructor(host: SessionHost, parts: ConnectionParts) {
    this.#session = new Session(host, parts.ledger)
    this.#runner = new StatementRunner(this.#session, parts.ledger, parts.recorder)
    this.#parts = parts
  }

  /** Whether its client was lost or invalidated, and no other was taken since. */
  get invalidated(): boolean {
    return this.#session.isInvalidated
  }

  /** Whether statements are part of a transaction; also of one that was lost and is not rolled back yet. */
  get inTransaction(): boolean {
    return this.#runner.isTransactionOpen || this.#session.isInTransaction
  }

  /** The statements so far, failed ones too, if `record_queries` is on. Flask-SQLAlchemy's `get_recorded_queries()`. */
  get recordedQueries(): readonly RecordedQuery[] {
    return this.#parts.recorder?.recorded ?? []
  }

  /**
   * Runs a statement on this connection's client, after those started before it.
   *
   * @throws {DisconnectedError | OutcomeUnknownError} the client was lost; the next statement gets another one
   * @throws {PendingRollbackError} a transaction was lost and is not rolled back yet
   * @throws {ConnectionClosedError} it was released for good
   * @throws the checkout's error, or the server's own (`pg.DatabaseError`)
   */
  query = ((query: string | QueryConfig | Submittable, values?: unknown[]) => {
    if (isSubmittable(query)) return this.#runner.submit(query)
    return this.#runner.statement(typeof query === 'string' ? { text: query } : query, values)
  }) as SessionQueryable['query']

  /**
   * Runs `fn` in a transaction: COMMIT when it resolves, ROLLBACK when it throws. Statements on this connection
   * belong to it until `fn` has settled.
   *
   * @throws {TransactionStateError} a transaction is open already
   * @throws what `fn` throws, or what BEGIN and COMMIT do
   */
  async transaction<Result>(
    fn: (transaction: Transaction) => Promise<Result>,
    options: TransactionOptions = {}
  ): Promise<Result> {
    this.#runner.assertUsable()
    if (this.inTransaction) throw overlapping()
    this.#runner.isTransactionOpen = true
    this.#session.hold()
    try {
      return await runTransaction(this.#runner, options, fn)
    } finally {
      // Whatever became of it, it is over, and with it what was pending.
      this.#session.isPendingRollback = false
      this.#runner.isTransactionOpen = false
      this.#session.unhold()
    }
  }

  /** The `pg.Client` itself, for libraries. Not to be kept after `release()` or the reply. */
  async client(): Promise<PgClient> {
    this.#runner.assertUsable()
    return this.#session.use(client => {
      // Whatever is done with it is not seen by us.
      this.#parts.ledger.statementWritten()
      return client.expose()
    })
  }

  /** Takes a client now instead of with the first statement. */
  async open(request: CheckoutRequest): Promise<this> {
    await this.#session.use(() => undefined, request)
    return this
  }

  /**
   * Has the client replaced: at once, or (`soft`) when it comes back. Other clients are not touched.
   * A second call does nothing.
   */
  invalidate(error?: unknown, options: { soft?: boolean } = {}): void {
    if (options.soft) this.#session.giveUpSoftly(error)
    else this.#session.giveUp(error, 'user')
  }

  /**
   * Takes the client out of the pool: its place is free for another, and when it is given back it is closed. For
   * a session that must not be anybody else's afterwards. SQLAlchemy's `Connection.detach()`.
   *
   * @throws {TransactionStateError} the client was lost or invalidated: there is nothing to detach
   */
  async detach(): Promise<void> {
    this.#runner.assertUsable()
    if (this.invalidated) {
      throw new TransactionStateError('An invalidated connection has no client to detach')
    }
    await this.#session.use(() => {
      this.#parts.ledger.statementWritten()
      this.#session.detach()
    })
  }

  /**
   * Gives the client back, when the rest of the work needs no database. A second call does nothing.
   *
   * @throws {TransactionStateError} inside `transaction(fn)`
   */
  release(): void {
    if (this.#runner.isTransactionOpen) {
      throw new TransactionStateError('A connection cannot be released inside transaction()')
    }
    if (this.#parts.isRequest) this.#session.release()
    else this.#session.end()
  }

  /** Gives the client back for good, as soon as nothing runs on it, and refuses later statements. */
  end(): void {
    this.#session.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }
}
