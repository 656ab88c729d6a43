import type { Client as PgClient, QueryConfig, QueryResult, Submittable } from 'pg'
import {
  ConnectionClosedError,
  PendingRollbackError,
  RolledBackError,
  TransactionStateError
} from './errors.js'
import type { Ledger } from './ledger.js'
import type { CheckoutRequest } from './pool/checkout.js'
import type { SessionQueryable, TransactionOptions } from './queryable.js'
import { Session, type SessionHost } from './session.js'
import { statementKind } from './statement-kind.js'
import { isSubmittable, submitTo } from './submittable.js'
import {
  overlapping,
  runTransaction,
  type Transaction,
  type TransactionHost
} from './transaction.js'

/**
 * `req.db`, or what `app.db.connect()` gives: what people hold. It takes a client with the first statement, and
 * outlives it: after a disconnect the next statement gets another one, but not before a transaction that was lost
 * with the first has been rolled back. SQLAlchemy's `Connection`.
 */
export class Connection implements SessionQueryable, AsyncDisposable {
  readonly #session: Session
  readonly #ledger: Ledger
  readonly #isRequest: boolean
  #isTransactionOpen = false

  /** `isRequest`: `release()` is not the end, a later statement takes another client. */
  constructor(host: SessionHost, ledger: Ledger, isRequest: boolean) {
    this.#session = new Session(host, ledger)
    this.#ledger = ledger
    this.#isRequest = isRequest
  }

  /** Whether its client was lost or invalidated, and no other was taken since. */
  get invalidated(): boolean {
    return this.#session.isInvalidated
  }

  /** Whether statements are part of a transaction; also of one that was lost and is not rolled back yet. */
  get inTransaction(): boolean {
    return this.#isTransactionOpen || this.#session.isInTransaction
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
    if (!isSubmittable(query)) return this.#statement(query, values)
    return this.#submit(query)
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
    this.#assertUsable()
    if (this.inTransaction) throw overlapping()
    this.#isTransactionOpen = true
    this.#session.hold()
    try {
      return await runTransaction(this.#transactionHost(), options, fn)
    } finally {
      // Whatever became of it, it is over, and with it what was pending.
      this.#session.isPendingRollback = false
      this.#isTransactionOpen = false
      this.#session.unhold()
    }
  }

  /** The `pg.Client` itself, for libraries. Not to be kept after `release()` or the reply. */
  async client(): Promise<PgClient> {
    this.#assertUsable()
    return this.#session.use(client => {
      // Whatever is done with it is not seen by us.
      this.#ledger.statementWritten()
      return client.raw
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
    if (options.soft) this.#session.giveUpSoftly()
    else this.#session.giveUp(error, 'user')
  }

  /**
   * Gives the client back, when the rest of the work needs no database. A second call does nothing.
   *
   * @throws {TransactionStateError} inside `transaction(fn)`
   */
  release(): void {
    if (this.#isTransactionOpen) {
      throw new TransactionStateError('A connection cannot be released inside transaction()')
    }
    if (this.#isRequest) this.#session.release()
    else this.#session.end()
  }

  /** Gives the client back for good, as soon as nothing runs on it, and refuses later statements. */
  end(): void {
    this.#session.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  async #statement(
    query: string | QueryConfig,
    values: unknown[] | undefined
  ): Promise<QueryResult> {
    this.#assertUsable()
    const config = typeof query === 'string' ? { text: query } : query
    const kind = statementKind(config.text ?? '')
    const { control } = kind
    if (control !== undefined && this.#isTransactionOpen) throw controlInTransaction()
    if (this.#session.isPendingRollback) return this.#rollbackLost(control)

    const onSubmitted = () => this.#ledger.statementWritten(kind)
    const result = await this.#session.use(async client => {
      this.#assertNotLost()
      const answer = await client.run<QueryResult>(config, values, onSubmitted)
      if (this.#isTransactionOpen && !client.isInTransaction) throw this.#endedByText()
      return answer
    })
    if (control === 'commit' && result.command === 'ROLLBACK') throw new RolledBackError()
    return result
  }

  /** A text of several statements had a COMMIT or ROLLBACK in it, which no look at its beginning shows. */
  #endedByText(): TransactionStateError {
    const error = new TransactionStateError(
      'A text of several statements ended the transaction that it was part of'
    )
    this.#session.giveUp(error)
    return error
  }

  #submit<Query extends Submittable>(submittable: Query): Query {
    this.#assertUsable()
    return submitTo(this.#session, submittable, () => {
      this.#assertNotLost()
      this.#ledger.statementWritten()
    })
  }

  /** The lost transaction's ROLLBACK needs no server; anything else must not look as if it were part of it. */
  #rollbackLost(control: string | undefined): QueryResult {
    if (control !== 'rollback') throw new PendingRollbackError({ outcome: 'rolled_back' })
    this.#session.isPendingRollback = false
    return { command: 'ROLLBACK', rowCount: null, oid: 0, rows: [], fields: [] }
  }

  #transactionHost(): TransactionHost {
    const session = this.#session
    return {
      statement: (query, values) => this.#statement(query, values),
      submit: submittable => this.#submit(submittable),
      control: text =>
        session.use(client => {
          this.#assertNotLost()
          return client.run<QueryResult>({ text }, undefined)
        }),
      get isLost() {
        return session.isPendingRollback
      },
      giveUp: error => session.giveUp(error)
    }
  }

  #assertUsable(): void {
    if (this.#session.isEnded) throw new ConnectionClosedError()
  }

  /** To be asked with the client in hand: it may have been lost since the statement was started. */
  #assertNotLost(): void {
    if (this.#session.isPendingRollback) {
      throw new PendingRollbackError({ outcome: 'rolled_back' })
    }
  }
}

function controlInTransaction(): TransactionStateError {
  return new TransactionStateError(
    'Inside transaction() its function decides: return to commit, throw to roll back, nest for a savepoint'
  )
}
