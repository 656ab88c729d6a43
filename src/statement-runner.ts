import type { QueryConfig, QueryResult, Submittable } from 'pg'
import type { Client } from './client/client.js'
import {
  ConnectionClosedError,
  PendingRollbackError,
  RolledBackError,
  TransactionStateError
} from './errors.js'
import type { Ledger } from './ledger.js'
import type { QueryRecorder } from './query-record.js'
import type { Session } from './session.js'
import { statementKind } from './statement-kind.js'
import { submitTo } from './submittable.js'
import type { TransactionHost } from './transaction.js'

/**
 * Runs a connection's statements by the rules of its transactions: what was lost must be rolled back before
 * anything else runs, and while `transaction(fn)` is open nobody but it begins or ends one.
 */
export class StatementRunner implements TransactionHost {
  readonly #session: Session
  readonly #ledger: Ledger
  readonly #recorder: QueryRecorder | undefined
  /** `transaction(fn)` is running. */
  isTransactionOpen = false

  constructor(session: Session, ledger: Ledger, recorder: QueryRecorder | undefined) {
    this.#session = session
    this.#ledger = ledger
    this.#recorder = recorder
  }

  get isLost(): boolean {
    return this.#session.isPendingRollback
  }

  statement(config: QueryConfig, values: unknown[] | undefined): Promise<QueryResult> {
    if (this.#recorder === undefined) return this.#run(config, values)
    return this.#recorder.observe(config, values, () => this.#run(config, values))
  }

  submit<Query extends Submittable>(submittable: Query): Query {
    this.assertUsable()
    return submitTo(this.#session, submittable, () => {
      this.#assertNotLost()
      this.#ledger.statementWritten()
    })
  }

  control(text: string): Promise<QueryResult> {
    const run = (client: Client) => {
      this.#assertNotLost()
      return client.run<QueryResult>({ text }, undefined)
    }
    return this.#session.use(run, { statement: text })
  }

  giveUp(error: unknown): void {
    this.#session.giveUp(error)
  }

  assertUsable(): void {
    if (this.#session.isEnded) throw new ConnectionClosedError()
  }

  async #run(config: QueryConfig, values: unknown[] | undefined): Promise<QueryResult> {
    this.assertUsable()
    const kind = statementKind(config.text ?? '')
    const { control } = kind
    if (control !== undefined && this.isTransactionOpen) throw controlInTransaction()
    if (this.#session.isPendingRollback) return this.#rollbackLost(control)

    const onSubmitted = () => this.#ledger.statementWritten(kind)
    const run = async (client: Client) => {
      this.#assertNotLost()
      const answer = await client.run<QueryResult>(config, values, onSubmitted)
      if (this.isTransactionOpen && !client.isInTransaction) throw this.#endedByText()
      return answer
    }
    const result = await this.#session.use(run, { statement: config.text })
    if (control === 'commit' && result.command === 'ROLLBACK') throw new RolledBackError()
    return result
  }

  /** The lost transaction's ROLLBACK needs no server; anything else must not look as if it were part of it. */
  #rollbackLost(control: string | undefined): QueryResult {
    if (control !== 'rollback') throw pendingRollback()
    this.#session.isPendingRollback = false
    return { command: 'ROLLBACK', rowCount: null, oid: 0, rows: [], fields: [] }
  }

  /** To be asked with the client in hand: one may have been lost since the statement was started. */
  #assertNotLost(): void {
    if (this.#session.isPendingRollback) throw pendingRollback()
  }

  /** A text of several statements had a COMMIT or ROLLBACK in it, which no look at its beginning shows. */
  #endedByText(): TransactionStateError {
    const error = new TransactionStateError(
      'A text of several statements ended the transaction that it was part of'
    )
    this.#session.giveUp(error)
    return error
  }
}

function pendingRollback(): PendingRollbackError {
  return new PendingRollbackError({ outcome: 'rolled_back' })
}

function controlInTransaction(): TransactionStateError {
  return new TransactionStateError(
    'Inside transaction() its function decides: return to commit, throw to roll back, nest for a savepoint'
  )
}
