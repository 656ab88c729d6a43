import type { QueryConfig, QueryResult, Submittable } from 'pg'
import { BatchJob } from './batch-job.js'
import { ControlPart, type Part } from './client/parts.js'
import type { Delivery } from './delivery.js'
import { ConnectionClosedError, RolledBackError, TransactionStateError } from './errors.js'
import type { QueryRecorder } from './query-record.js'
import type { StatementConfig } from './queryable.js'
import type { Session } from './session.js'
import { assertNoCallback, toConfig } from './statement-config.js'
import { emptyResult, StatementJob } from './statement-job.js'
import { type StatementKind, statementKind } from './statement-kind.js'
import type { StatementMeter } from './statement-meter.js'
import { submitTo, textOf } from './submittable.js'
import { within } from './time-limit.js'
import type { TransactionHost } from './transaction.js'

/**
 * Runs a connection's statements by the rules of its transactions: what was lost must be rolled back before
 * anything else runs, while `transaction(fn)` is open nobody but it begins or ends one, and what promises to be
 * read-only is kept so by the server.
 */
export class StatementRunner implements TransactionHost {
  readonly #session: Session
  readonly #delivery: Delivery
  readonly #isReadOnly: boolean
  readonly #meter: StatementMeter | undefined
  readonly #recorder: QueryRecorder | undefined
  /** The application's own BEGIN said so: there a refusal of a write says nothing about the server. */
  #isReadOnlyByHand = false
  /** The route's transaction is being ended, or was: a statement behind that would be committed by itself. */
  isRouteOver = false

  /** `isReadOnly`: every statement outside of a transaction is run READ ONLY, as `config.db.readOnly` asks. */
  constructor(
    session: Session,
    delivery: Delivery,
    isReadOnly: boolean,
    meter: StatementMeter | undefined,
    recorder: QueryRecorder | undefined
  ) {
    this.#session = session
    this.#delivery = delivery
    this.#isReadOnly = isReadOnly
    this.#meter = meter
    this.#recorder = recorder
  }

  get isLost(): boolean {
    return this.#session.lostTransaction.isPending
  }

  statement(
    query: string | StatementConfig,
    values: unknown[] | undefined,
    callback?: unknown
  ): Promise<QueryResult> {
    try {
      assertNoCallback(values, callback)
      return this.#observed(toConfig(query), values)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #observed(config: StatementConfig, values: unknown[] | undefined): Promise<QueryResult> {
    const meter = this.#meter
    const recorder = this.#recorder
    if (meter === undefined && recorder === undefined) return this.#run(config, values)
    const run = () => this.#run(config, values)
    const measured = meter ? () => meter.measure(config.text, run) : run
    return recorder ? recorder.observe(config, values, measured) : measured()
  }

  submit<Query extends Submittable>(submittable: Query): Query {
    this.assertUsable()
    const delivery = this.#delivery
    const session = this.#session
    session.lostTransaction.tell()
    const kind = statementKind(textOf(submittable) ?? '')
    if (delivery.transaction && (kind.control !== undefined || kind.several))
      throw controlInTransaction()
    if (this.#promisesReadOnly()) {
      if (delivery.transaction === undefined) throw notReadOnly()
      this.#assertAllowed(kind, true)
    }
    return submitTo(session, delivery, submittable)
  }

  /** See {@link BatchJob}. */
  async batch(configs: readonly QueryConfig[]): Promise<QueryResult[]> {
    const meter = this.#meter
    if (meter === undefined) return this.#runBatch(configs)
    return meter.measure(undefined, () => this.#runBatch(configs), configs.length)
  }

  async #runBatch(configs: readonly QueryConfig[]): Promise<QueryResult[]> {
    this.assertUsable()
    if (configs.length === 0) return []
    this.#session.lostTransaction.tell()
    const isReadOnly = this.#promisesReadOnly()
    const job = new BatchJob(configs, isReadOnly, this.#delivery.transaction?.signal)
    for (const kind of job.kinds) this.#assertAllowed(kind, isReadOnly)
    return this.#delivery.deliver(job)
  }

  async control(text: string): Promise<{ command: string }> {
    const delivery = this.#delivery
    const isOver = text === 'COMMIT' || text === 'ROLLBACK'
    if (isOver && delivery.transaction?.isQuiet === false) await delivery.transaction.whenQuiet()
    this.#session.lostTransaction.tell()
    if (isOver && delivery.transaction?.isRefused) return { command: 'ROLLBACK' }
    if (isOver && delivery.transaction?.isBegun === false) return { command: text }
    if (text === 'COMMIT' && delivery.commitLater()) return { command: text }
    return await delivery.deliver({
      text,
      effect: text === 'COMMIT' ? 'commit' : 'nothing',
      isRepeatable: false,
      leavesState: false,
      endsTransaction: isOver,
      parts: () => [new ControlPart(text)],
      result: parts => ({ command: tagOf(parts) ?? text })
    })
  }

  giveUp(error: unknown): void {
    this.#session.giveUp(error)
    this.#session.lostTransaction.keepUntold(error)
  }

  assertUsable(): void {
    this.#session.stop.assertNotSet()
    if (this.isRouteOver) throw new ConnectionClosedError()
  }

  #run(config: StatementConfig, values: unknown[] | undefined): Promise<QueryResult> {
    const { signal } = this.#delivery.transaction ?? {}
    if (signal === undefined && config.signal === undefined && config.timeout === undefined) {
      return this.#runWithin(undefined, config, values)
    }
    return within(config, signal, signals => this.#runWithin(signals, config, values))
  }

  /** @throws why it may not run here */
  #runWithin(
    signals: readonly AbortSignal[] | undefined,
    config: StatementConfig,
    values: unknown[] | undefined
  ): Promise<QueryResult> {
    this.assertUsable()
    const delivery = this.#delivery
    const session = this.#session
    const { readOnly = this.#promisesReadOnly(), text } = config
    const kind = statementKind(text ?? '')
    if (kind.control !== undefined && delivery.transaction) throw controlInTransaction()
    this.#assertAllowed(kind, readOnly)
    if (session.lostTransaction.isPending) return Promise.resolve(this.#rollbackLost(kind))
    if (kind.several && !wantsExtended(config, values))
      return delivery.lending.script(config, signals)

    if (kind.control === 'begin') this.#isReadOnlyByHand = READ_ONLY.test(text)
    const job = new StatementJob(config, values, kind, {
      isReadOnly: readOnly,
      isKept: delivery.transaction?.isReadOnly === true,
      isReadOnlyByHand: this.#isReadOnlyByHand && session.isInTransaction,
      signals
    })
    const delivered = delivery.deliver(job)
    const isCommit = kind.control === 'commit' || kind.control === 'prepare_transaction'
    return isCommit ? unlessRolledBack(delivered) : delivered
  }

  /** Whether statements are to be kept from writing now, without being asked to one by one. */
  #promisesReadOnly(): boolean {
    return this.#delivery.transaction?.isReadOnly ?? this.#isReadOnly
  }

  /** In READ ONLY a `SET TRANSACTION READ WRITE` would be obeyed, so that only queries are let through at all. */
  #assertAllowed(kind: StatementKind, isReadOnly: boolean): void {
    if (!isReadOnly || kind.readOnlyShape) return
    throw new TransactionStateError(
      'Only SELECT, VALUES, TABLE, WITH and SHOW are allowed where read-only was promised'
    )
  }

  /** The lost transaction's ROLLBACK needs no server; anything else must not look as if it were part of it. */
  #rollbackLost(kind: StatementKind): QueryResult {
    // Nothing can be chained to a transaction that is gone.
    if (kind.control !== 'rollback' || kind.chain) this.#session.lostTransaction.tell()
    this.#session.lostTransaction.isPending = false
    return emptyResult('ROLLBACK')
  }
}

/** As `pg` has it: several statements that have parameters or a name are sent so that the server refuses them. */
function wantsExtended(config: StatementConfig, values: unknown[] | undefined): boolean {
  if (config.name || Reflect.get(config, 'rows')) return true
  if (Reflect.get(config, 'queryMode') === 'extended') return true
  return ((values || config.values)?.length ?? 0) > 0
}

/** @throws {RolledBackError} the server answered a COMMIT with ROLLBACK */
async function unlessRolledBack(delivered: Promise<QueryResult>): Promise<QueryResult> {
  const result = await delivered
  if (result.command === 'ROLLBACK') throw new RolledBackError()
  return result
}

const READ_ONLY = /\bread\s+only\b/i

function tagOf(parts: readonly Part[]): string | undefined {
  const control = parts.findLast(part => part instanceof ControlPart)
  return control instanceof ControlPart ? control.tag : undefined
}

function controlInTransaction(): TransactionStateError {
  return new TransactionStateError(
    'Inside transaction() its function decides: return to commit, throw to roll back, nest for a savepoint'
  )
}

function notReadOnly(): TransactionStateError {
  return new TransactionStateError(
    'Where read-only was promised, a cursor or other query of a library has to run within transaction()'
  )
}
