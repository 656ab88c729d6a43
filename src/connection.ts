import type { Client as PgClient, QueryConfig, QueryResult, Submittable } from 'pg'
import type { Account } from './account.js'
import type { ConnectionHost, ConnectionParts } from './connection-host.js'
import { Delivery } from './delivery.js'
import { type Outcome, RolledBackError, TransactionStateError } from './errors.js'
import { mayFinish } from './on-abort.js'
import type { RecordedQuery } from './query-record.js'
import type { SessionQueryable, StatementConfig, TransactionOptions } from './queryable.js'
import { Session } from './session.js'
import { toConfigs } from './statement-config.js'
import { StatementRunner } from './statement-runner.js'
import { isSubmittable } from './submittable.js'
import type { Transaction } from './transaction.js'
import { Transactions } from './transactions.js'

/**
 * `req.db`, or what `app.db.connect()` gives: what people hold. It takes a client with the first statement, and
 * outlives it: after a disconnect the next statement gets another one, but not before a transaction that was lost
 * with the first has been rolled back. SQLAlchemy's `Connection`.
 */
export class Connection implements SessionQueryable, AsyncDisposable {
  readonly #host: ConnectionHost
  readonly #parts: ConnectionParts
  readonly #account: Account
  readonly #session: Session
  readonly #delivery: Delivery
  readonly #runner: StatementRunner
  readonly #transactions: Transactions

  constructor(host: ConnectionHost, parts: ConnectionParts) {
    const { deadline, isReadOnly = false, ledger, recorder } = parts
    this.#host = host
    this.#parts = parts
    this.#account = ledger.open()
    const session = new Session(host, ledger, this.#account, deadline)
    const delivery = new Delivery(host, session, this.#account)
    this.#session = session
    this.#delivery = delivery
    this.#runner = new StatementRunner(session, delivery, isReadOnly, host.meter, recorder)
    this.#transactions = new Transactions(host, session, delivery, this.#runner, isReadOnly)
  }

  /** What is known of the effects of the request so far. */
  get outcome(): Outcome {
    return this.#parts.ledger.outcome
  }

  /** Whether its client was lost or invalidated, and no other was taken since. */
  get invalidated(): boolean {
    return this.#session.isInvalidated
  }

  /** Whether statements are part of a transaction; also of one that was lost and is not rolled back yet. */
  get inTransaction(): boolean {
    return this.#delivery.transaction !== undefined || this.#session.isInTransaction
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
  query = ((
    query: string | StatementConfig | Submittable,
    values?: unknown[],
    callback?: unknown
  ) => {
    if (isSubmittable(query)) return this.#runner.submit(query)
    return this.#runner.statement(query, values, callback)
  }) as SessionQueryable['query']

  /**
   * Runs several statements in one round trip: outside of a transaction as one of their own, all or nothing.
   *
   * @throws {TransactionStateError} one of them is a control statement, or several in one text
   * @throws as {@link query}
   */
  async batch(statements: readonly (string | QueryConfig)[]): Promise<QueryResult[]> {
    return this.#runner.batch(toConfigs(statements))
  }

  /**
   * Runs `fn` in a transaction: COMMIT when it resolves, ROLLBACK when it throws; nothing is sent for one that runs
   * no statement. Statements on this connection belong to it until `fn` has settled. In a route transaction it is a
   * savepoint, and takes no options.
   *
   * @throws {TransactionStateError} a transaction is open already
   * @throws what `fn` throws, or what BEGIN and COMMIT do
   */
  transaction<Result>(
    fn: (transaction: Transaction) => Promise<Result>,
    options: TransactionOptions = {}
  ): Promise<Result> {
    return this.#transactions.run(fn, options)
  }

  /** From here on every statement is part of one transaction, which {@link endRoute} ends. */
  beginRoute(options: TransactionOptions): void {
    this.#transactions.beginRoute(options)
  }

  /**
   * To be asked before the first of several COMMITs.
   *
   * @throws {PendingRollbackError | RolledBackError} it is known that this one can only roll back
   */
  assertCommittable(): void {
    this.#session.lostTransaction.tell()
    if (this.#session.client?.transaction.value === 'E') throw new RolledBackError()
  }

  /**
   * Ends the route's transaction, if there is one.
   *
   * @throws what COMMIT does; a ROLLBACK that fails costs the client, and is nobody's error
   */
  endRoute(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    return this.#transactions.endRoute(how)
  }

  /** The `pg.Client` itself, for libraries. Not to be kept after `release()` or the reply. */
  async client(): Promise<PgClient> {
    this.#runner.assertUsable()
    this.#session.lostTransaction.tell()
    return this.#delivery.lending.lend(undefined, client => client.exposeAlone())
  }

  /** The client held now, to be looked at; none before the first statement, and between two clients. */
  get held(): PgClient | undefined {
    return this.#session.client?.raw
  }

  /** Takes a client now, for a library that looks at it: what it runs comes through {@link query}. */
  async lend(): Promise<PgClient> {
    return this.#session.use(client => client.exposeAlone())
  }

  /** Takes a client now instead of with the first statement. */
  async open(signal: AbortSignal | undefined): Promise<this> {
    try {
      await this.#session.use(() => undefined, { signals: signal && [signal] })
      return this
    } catch (error) {
      // It may have got a client at the moment its caller left, who gets nothing to give back.
      this.end()
      throw error
    }
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
    await this.#session.use(client => {
      this.#account.written('untracked', client.isInTransaction)
      this.#session.detach()
    })
  }

  /**
   * Gives the client back, when the rest of the work needs no database. A second call does nothing.
   *
   * @throws {TransactionStateError} inside `transaction(fn)`
   */
  release(): void {
    if (this.#delivery.transaction !== undefined) {
      throw new TransactionStateError('A connection cannot be released inside transaction()')
    }
    if (this.#parts.isRequest) this.#session.release()
    else this.#session.end()
  }

  /** Gives the client back for good, as soon as nothing runs on it, and refuses later statements. */
  end(): void {
    this.#session.end()
  }

  /** Something that has an effect is under way. */
  get isWriting(): boolean {
    return this.#account.isWriting
  }

  /**
   * The HTTP client has left: what runs is cancelled and the rest refused, or, where the policy lets the request
   * finish, it goes on, in bounded time. Returns whether it does.
   */
  abort(isSafe: boolean, isWriting: boolean): boolean {
    if (mayFinish(this.#host.onAbort, isSafe, isWriting)) return this.#session.ending.linger()
    this.abandon()
    return false
  }

  /** What runs is cancelled, but for a COMMIT, and what nobody has committed is rolled back. */
  abandon(): void {
    this.endRoute('ROLLBACK').catch(() => {})
    this.#session.ending.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }
}
