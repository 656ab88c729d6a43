import { beginText } from './begin-text.js'
import type { ConnectionHost } from './connection-host.js'
import type { Delivery } from './delivery.js'
import { TransactionStateError } from './errors.js'
import { OpenTransaction } from './open-transaction.js'
import type { TransactionOptions } from './queryable.js'
import type { Session } from './session.js'
import type { StatementRunner } from './statement-runner.js'
import { assertSignal } from './time-limit.js'
import {
  assertWork,
  commit,
  overlapping,
  rollback,
  runTransaction,
  Transaction
} from './transaction.js'
import { assertRetries, withRetries } from './transaction-retry.js'

/** Which transaction a connection is in: one at a time, of a function's or of the whole route. */
export class Transactions {
  readonly #host: ConnectionHost
  readonly #session: Session
  readonly #delivery: Delivery
  readonly #runner: StatementRunner
  readonly #isReadOnly: boolean
  /** The transaction of the whole request, where its route asked for one. */
  #route: Transaction | undefined
  /** The last one may have been committed in part, though it failed. */
  #mayHaveLeftSomething = false

  /** `isReadOnly`: every transaction is READ ONLY, since the route promises not to write. */
  constructor(
    host: ConnectionHost,
    session: Session,
    delivery: Delivery,
    runner: StatementRunner,
    isReadOnly: boolean
  ) {
    this.#host = host
    this.#session = session
    this.#delivery = delivery
    this.#runner = runner
    this.#isReadOnly = isReadOnly
  }

  /** See {@link Connection.transaction}. */
  async run<Result>(
    fn: (transaction: Transaction) => Promise<Result>,
    options: TransactionOptions
  ): Promise<Result> {
    const delivery = this.#delivery
    const runner = this.#runner
    const begin = beginText(options, this.#isReadOnly)
    const { retries = 0, signal } = options
    const readOnly = this.#isReadOnly || options.readOnly === true
    assertWork(fn)
    assertRetries(retries)
    assertSignal(signal)
    runner.assertUsable()
    if (this.#route) return savepoint(this.#route, fn, options)
    if (delivery.transaction !== undefined || this.#session.isInTransaction) throw overlapping()
    if (retries === 0) return await this.#once(fn, begin, readOnly, signal)
    return withRetries(() => this.#once(fn, begin, readOnly, signal), {
      retries,
      random: Math.random,
      budget: this.#host.budget,
      mayHaveLeftSomething: () => this.#mayHaveLeftSomething,
      onRetry: error => this.#host.onReplay(undefined, error),
      pause: ms => this.#host.pause(ms)
    })
  }

  beginRoute(options: TransactionOptions): void {
    const runner = this.#runner
    this.#begin(beginText(options), options.readOnly ?? false)
    this.#route = new Transaction(runner, 0)
  }

  async endRoute(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    const runner = this.#runner
    if (this.#route === undefined) return
    this.#route.end()
    this.#route = undefined
    runner.isRouteOver = true
    try {
      if (how === 'COMMIT') await commit(runner)
      else await rollback(runner)
    } catch (error) {
      // The application's error handler may have something to ask.
      runner.isRouteOver = false
      throw error
    } finally {
      this.#end()
    }
  }

  async #once<Result>(
    fn: (transaction: Transaction) => Promise<Result>,
    begin: string,
    isReadOnly: boolean,
    signal: AbortSignal | undefined
  ): Promise<Result> {
    this.#runner.assertUsable()
    signal?.throwIfAborted()
    const transaction = this.#begin(begin, isReadOnly, signal)
    try {
      return await runTransaction(this.#runner, signal ? unlessAborted(fn, signal) : fn)
    } finally {
      this.#mayHaveLeftSomething = transaction.isUnseen
      this.#end()
    }
  }

  #begin(begin: string, isReadOnly: boolean, signal?: AbortSignal): OpenTransaction {
    const transaction = new OpenTransaction(begin, isReadOnly, signal)
    this.#delivery.transaction = transaction
    this.#session.hold()
    return transaction
  }

  /** Whatever became of it, it is over, and with it what was pending. */
  #end(): void {
    const delivery = this.#delivery
    const session = this.#session
    session.lostTransaction.isPending = false
    delivery.transaction?.end()
    delivery.transaction = undefined
    session.unhold()
  }
}

function unlessAborted<Result>(
  fn: (transaction: Transaction) => Promise<Result>,
  signal: AbortSignal
): (transaction: Transaction) => Promise<Result> {
  return async transaction => {
    const result = await fn(transaction)
    signal.throwIfAborted()
    return result
  }
}

function savepoint<Result>(
  outer: Transaction,
  fn: (transaction: Transaction) => Promise<Result>,
  options: TransactionOptions
): Promise<Result> {
  if (Object.keys(options).length === 0) return outer.transaction(fn)
  throw new TransactionStateError('A savepoint takes no options: the route began its transaction')
}
