import type { QueryConfig, QueryResult, Submittable } from 'pg'
import { describeValue } from './describe-value.js'
import { RolledBackError, TransactionStateError } from './errors.js'
import type { SessionQueryable, StatementConfig } from './queryable.js'
import { toConfigs } from './statement-config.js'
import { isSubmittable } from './submittable.js'

/** What a transaction needs of the connection it runs on. */
export interface TransactionHost {
  /** A statement of the application, as part of whatever transaction is open. */
  statement(
    query: string | StatementConfig,
    values: unknown[] | undefined,
    callback: unknown
  ): Promise<QueryResult>
  submit<Query extends Submittable>(submittable: Query): Query
  /** Text of ours: BEGIN, COMMIT, savepoints. Also after the connection was ended, to bring what is open to its end. */
  control(text: string): Promise<{ command: string }>
  batch(configs: readonly QueryConfig[]): Promise<QueryResult[]>
  /** The session was lost, so that there is nothing left to roll back on the server. */
  readonly isLost: boolean
  /** The client cannot be brought back to a known state; nobody may get it. */
  giveUp(error: unknown): void
}

/**
 * What the function of `transaction(fn)` gets. The same session as the connection's own: statements there belong
 * to the transaction too. Its own `transaction(fn)` is a savepoint.
 */
export class Transaction implements SessionQueryable {
  readonly #host: TransactionHost
  readonly #depth: number
  #isEnded = false
  #nested: Transaction | undefined
  /** The transaction around it has ended, and taken its savepoint along. */
  #isCutOff = false

  constructor(host: TransactionHost, depth: number) {
    this.#host = host
    this.#depth = depth
  }

  get isCutOff(): boolean {
    return this.#isCutOff
  }

  query: SessionQueryable['query'] = ((
    query: string | StatementConfig | Submittable,
    values?: unknown[],
    callback?: unknown
  ) => {
    if (isSubmittable(query)) {
      this.#assertOpen()
      return this.#host.submit(query)
    }
    if (this.#isEnded) return Promise.reject(ended())
    return this.#host.statement(query, values, callback)
  }) as SessionQueryable['query']

  /**
   * Runs `fn` within a savepoint: if it throws, what it did is undone and the outer transaction goes on.
   *
   * @throws {TransactionStateError} a savepoint is open already, or this transaction has ended
   */
  async transaction<Result>(fn: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    assertWork(fn)
    this.#assertOpen()
    if (this.#nested) throw overlapping()
    const depth = this.#depth + 1
    this.#nested = new Transaction(this.#host, depth)
    try {
      return await runSavepoint(this.#host, this.#nested, `fastify_pg_engine_${depth}`, fn)
    } finally {
      this.#nested = undefined
    }
  }

  /** Runs several statements as part of the transaction, in one round trip; see {@link Connection.batch}. */
  async batch(statements: readonly (string | QueryConfig)[]): Promise<QueryResult[]> {
    this.#assertOpen()
    return this.#host.batch(toConfigs(statements))
  }

  /** The function has settled; a late statement must not run outside the transaction it was meant for. */
  end(): void {
    this.#isEnded = true
    this.#nested?.cutOff()
  }

  /** The transaction around it has ended: nothing of this one may reach the next. */
  cutOff(): void {
    this.#isCutOff = true
    this.end()
  }

  #assertOpen(): void {
    if (this.#isEnded) throw ended()
  }
}

/**
 * `fn`, then COMMIT; BEGIN goes with the first statement. The first error wins: a ROLLBACK that fails never masks it.
 *
 * @throws what `fn` throws, or the COMMIT's error
 * @throws {RolledBackError} a statement failed and `fn` went on: the server answered COMMIT with ROLLBACK
 */
export async function runTransaction<Result>(
  host: TransactionHost,
  fn: (transaction: Transaction) => Promise<Result>
): Promise<Result> {
  const result = await runScope(host, new Transaction(host, 0), fn, ['ROLLBACK'])
  await commit(host)
  return result
}

/** @throws {RolledBackError} the server answered with ROLLBACK */
export async function commit(host: TransactionHost): Promise<void> {
  const { command } = await host.control('COMMIT')
  if (command === 'ROLLBACK') throw new RolledBackError()
}

export function rollback(host: TransactionHost): Promise<void> {
  return undo(host, ['ROLLBACK'])
}

async function runSavepoint<Result>(
  host: TransactionHost,
  transaction: Transaction,
  name: string,
  fn: (transaction: Transaction) => Promise<Result>
): Promise<Result> {
  await host.control(`SAVEPOINT ${name}`)
  const result = await runScope(host, transaction, fn, [
    `ROLLBACK TO SAVEPOINT ${name}`,
    `RELEASE SAVEPOINT ${name}`
  ])
  if (transaction.isCutOff) throw new TransactionStateError('The transaction around it has ended')
  await host.control(`RELEASE SAVEPOINT ${name}`)
  return result
}

/** Runs `fn`; if it throws, what it did is undone as far as there is still a session to undo it on. */
async function runScope<Result>(
  host: TransactionHost,
  transaction: Transaction,
  fn: (transaction: Transaction) => Promise<Result>,
  undoing: string[]
): Promise<Result> {
  try {
    return await fn(transaction)
  } catch (error) {
    transaction.end()
    if (!transaction.isCutOff) await undo(host, undoing)
    throw error
  } finally {
    transaction.end()
  }
}

/** What cannot be undone costs the client, so that nobody meets it; it is never the error that is reported. */
async function undo(host: TransactionHost, texts: string[]): Promise<void> {
  try {
    for (const text of texts) if (!host.isLost) await host.control(text)
  } catch (failure) {
    host.giveUp(failure)
  }
}

/** @throws {TypeError} it is no function: to be told before anything is begun for it */
export function assertWork(fn: unknown): void {
  if (typeof fn === 'function') return
  throw new TypeError(
    `Expected the work of a transaction to be a function, got ${describeValue(fn)}`
  )
}

function ended(): TransactionStateError {
  return new TransactionStateError('The transaction has ended already')
}

/** Two transactions of one session cannot run beside each other: the statements of one would be part of the other. */
export function overlapping(): TransactionStateError {
  return new TransactionStateError(
    'A transaction is open already; to nest, use the one that its function was given'
  )
}
