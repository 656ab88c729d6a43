import { Answers } from './answers.js'
import { sendCancel } from './cancel.js'
import type { ClientOptions } from './client-options.js'
import type { SessionClient } from './config.js'
import type { ServerIdentity } from './evidence.js'
import { Exchange } from './exchange.js'
import { Goodbye } from './goodbye.js'
import { Interrupter } from './interrupter.js'
import { isLastWord } from './last-word.js'
import { LateCommit } from './late-commit.js'
import { Outbox, type Runnable, type Submission } from './outbox.js'
import { answered, expectAnswer, type Ping, pingWithin } from './ping.js'
import { endReadyWaits } from './ready-waits.js'
import { type ParameterStatusMessage, ReportedRole } from './reported-role.js'
import { SessionReset } from './reset.js'
import { PreparedStatements } from './statements.js'
import { Traffic } from './traffic.js'
import { TransactionStatus } from './transaction-status.js'

/**
 * One session: a `pg.Client` whose death ends no process and is known at once, and whose statements run one after
 * the other, whether or not they are sent together, and settle when the server is ready for the next. At ErrorResponse
 * it is not: the transaction status is old.
 */
export class Client {
  readonly #raw: SessionClient
  readonly #options: ClientOptions
  readonly #outbox: Outbox
  readonly #interrupter: Interrupter
  readonly #answers: Answers
  readonly #reset: SessionReset
  readonly #onFailed = (error: unknown): void => this.#lose(error)
  readonly #goodbye: Goodbye
  /** What it has prepared by itself; none where `statement_cache_size` is 0. */
  readonly statements: PreparedStatements | undefined
  /** Which server this is, once it has said so. */
  server: ServerIdentity | undefined
  readonly role = new ReportedRole()
  readonly traffic: Traffic
  readonly transaction: TransactionStatus
  readonly lateCommit: LateCommit
  #heardAt: number
  #lost: unknown
  /** Its backend has said that it exits at once, without finishing anything. */
  hasSaidItsLast = false

  /** `raw` is not connected yet, so that nothing it says is missed. */
  constructor(raw: SessionClient, options: ClientOptions) {
    this.#raw = raw
    this.traffic = new Traffic(raw)
    this.#outbox = new Outbox(raw, this.#onFailed)
    this.transaction = new TransactionStatus(raw, this.#outbox.owed, options.clock)
    this.#reset = new SessionReset(this, options, this.#outbox)
    this.lateCommit = new LateCommit({
      status: this.transaction,
      owed: this.#outbox.owed,
      isQuiet: () => this.isReady && !this.isUsed && !options.isShown(),
      isLost: () => this.#lost !== undefined,
      run: exchange => this.run(exchange)
    })
    this.#options = options
    this.#interrupter = new Interrupter({
      clock: options.clock,
      outbox: this.#outbox,
      cancel: timeout => sendCancel(raw, options.clock, timeout),
      sync: timeout =>
        pingWithin(timeout, options.clock, ping => this.#outbox.sendAhead(ping), this.#onFailed),
      isLost: () => this.#lost !== undefined,
      onFailed: this.#onFailed
    })
    this.#answers = new Answers({
      lost: () => this.#lost,
      lose: this.#onFailed,
      sendNext: () => this.#outbox.sendNext()
    })
    this.statements = options.statements && new PreparedStatements(options.statements)
    this.#heardAt = options.clock.now()
    raw.on('error', this.#onFailed)
    raw.on('notice', notice => {
      this.hasSaidItsLast ||= isLastWord(notice)
    })
    this.#goodbye = new Goodbye(raw, options.clock, () => {
      this.#lose(new Error('Connection terminated unexpectedly'))
    })
    raw.connection.on('parameterStatus', message => this.#onReported(message))
    // Not before: `pg` must have heard of ReadyForQuery first, or its transaction status would be the old one.
    raw.once('connect', () => raw.connection.on('readyForQuery', () => this.#onReady()))
  }

  get heardAt(): number {
    return this.#heardAt
  }

  get lost(): unknown {
    return this.#lost
  }

  get isReady(): boolean {
    return this.#outbox.isQuiet
  }
  get isWaiting(): boolean {
    return !this.isReady
  }
  /** Somebody may send something past us. */
  get isUsed(): boolean {
    return this.#reset.isInOtherHands
  }
  /** The server process, as `pg_stat_activity` and CancelRequest know it. */
  get pid(): number {
    return Number(Reflect.get(this.#raw, 'processID') ?? 0)
  }

  get isInTransaction(): boolean {
    return this.transaction.isOpen
  }

  get mayBeCommitting(): boolean {
    return this.#outbox.mayBeCommitting
  }

  /** To be looked at. */
  get raw(): SessionClient {
    return this.#raw
  }

  /** The `pg.Client`, to be used: whatever is done to it is undone at the next reset. */
  expose(): SessionClient {
    void this.lateCommit.send()
    this.#reset.inOtherHands()
    this.#options.onSend()
    this.#outbox.isShared = true
    return this.#raw
  }

  /**
   * As {@link expose}, when what was sent together is answered: `pg` refuses a cursor until then; and when what was to be
   * committed is, for what is sent on it does not wait its turn.
   */
  async exposeAlone(): Promise<SessionClient> {
    const raw = this.expose()
    if (raw.pipeline || this.transaction.isEnding) await answered(ping => this.#send(ping))
    return raw
  }

  /**
   * Runs a query after those before it. Settles when the server is ready for the next, or never will be. If it has
   * answered, `onAnswered` hears of it before the next query is sent.
   */
  run<Result>(
    query: Runnable,
    onAnswered?: (error?: Error) => void,
    send: (query: Runnable) => void = query => this.#send(query)
  ): Promise<Result> {
    const answer = this.#answers.of<Result>(query, onAnswered)
    this.#reset.wasUsed = true
    send(query)
    return answer
  }

  /** As {@link run}, before all that waits: for whoever is told in `onAnswered` that a transaction is left to be ended. */
  runFirst<Result>(query: Runnable, onAnswered?: (error?: Error) => void): Promise<Result> {
    return this.run(query, onAnswered, first => this.#outbox.sendFirst(first))
  }

  /** Sends a query of a library's own making, after the statements before it. */
  submit(submission: Submission): void {
    this.#reset.inOtherHands()
    this.#send(submission)
  }

  /**
   * Asks for a sign of life.
   *
   * @throws {PingTimeoutError} none came within `timeout` milliseconds; the socket is destroyed
   */
  ping(timeout: number): Promise<void> {
    const send = (ping: Ping) => this.#send(ping)
    return pingWithin(timeout, this.#options.clock, send, this.#onFailed)
  }

  /** Has the query cancelled, or, without one, all that runs and waits; what was not sent yet gets the reason. */
  interrupt(reason: unknown, query?: Submission): void {
    if (this.#lost === undefined) this.#interrupter.interrupt(reason, query)
  }

  /**
   * Has the session treated as gone, with a {@link PingTimeoutError}, unless a probing exchange that is sent next is
   * answered within `timeout` milliseconds.
   */
  expectAnswer(timeout: number, onAnswer: () => void): void {
    const { connection } = this.#raw
    expectAnswer(connection, this.#options.clock, timeout, error => {
      if (error) this.#lose(error)
      else {
        this.#heardAt = this.#options.clock.now()
        onAnswer()
      }
    })
  }

  /** See {@link PoolClient.reset}. */
  reset(isAwaited = false): Promise<void> | undefined {
    return this.#reset.run(isAwaited)
  }

  isOver(submission: Submission): boolean {
    return this.#outbox.isOver(submission)
  }

  onceReady(fn: () => void): void {
    this.#outbox.onceQuiet(fn)
  }

  /** Has the session treated as gone: nothing more is read from it. */
  abandon(error: unknown): void {
    this.#lose(error)
  }

  /** Ends the session: politely if it can be, by force if it is lost, busy, or takes its time. Never rejects. */
  close(): Promise<void> {
    const goodbye = this.#goodbye
    if (goodbye.isDue) return goodbye.closed
    goodbye.isDue = true
    const committing = this.lateCommit.send()
    if (committing === undefined) return this.#leave()
    goodbye.limit()
    void committing.then(() => this.#leave())
    return goodbye.closed
  }

  #leave(): Promise<void> {
    const goodbye = this.#goodbye
    const closed = new Error('Client was closed and is not queryable')
    if (this.#lost === undefined && this.isReady) {
      this.#lost = closed
      goodbye.say()
    } else {
      this.#lose(closed)
      goodbye.destroy()
    }
    return goodbye.closed
  }

  #send(submission: Submission): void {
    if (this.#lost !== undefined) {
      this.#outbox.refuse(submission, this.#lost)
      return
    }
    if (!(submission instanceof Exchange)) void this.lateCommit.send()
    this.#options.onSend()
    this.#outbox.send(submission)
  }

  #onReady(): void {
    this.#heardAt = this.#options.clock.now()
    // An exchange that fails has not said so.
    this.#outbox.owed.answered()
    this.#answers.settleFailure()
    if (this.role.isBeingSet && this.isReady) this.role.isBeingSet = this.isInTransaction
    this.#outbox.sendNext()
    this.#interrupter.answered()
  }

  #onReported({ parameterName, parameterValue }: ParameterStatusMessage): void {
    const change = this.role.report(parameterName, parameterValue, this.isUsed)
    if (change !== undefined) this.#options.onRole(change)
  }

  /** The session is gone, or must be treated as gone: nothing more can be read from it. */
  #lose(error: unknown): void {
    this.#answers.settleFailure()
    if (this.#lost !== undefined) return
    this.#lost = error
    this.#goodbye.destroy(error)
    if (!this.#goodbye.isDue) this.#options.onLost(error)
    this.#outbox.refuseAll(error)
    endReadyWaits(this.#raw.connection)
    this.#interrupter.answered()
  }
}
