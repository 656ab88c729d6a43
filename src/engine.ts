import type { Pool as PgPool } from 'pg'
import type { Client } from './client/client.js'
import { clientConfig, targetOf } from './client/config.js'
import { pgPool } from './client/pg-pool.js'
import { clientSource } from './client-source.js'
import { systemClock, type Timer } from './clock.js'
import { Connection } from './connection.js'
import type { ConnectionHost } from './connection-host.js'
import type { Connector } from './connector.js'
import { Doubt } from './doubt.js'
import { echoPool } from './echo-pool.js'
import type { EngineParts, EngineStatus } from './engine-parts.js'
import { openPool } from './engine-pool.js'
import { EngineClosedError, EngineError } from './errors.js'
import { Emitter, type EventName, type Listener } from './events.js'
import { recordStatement } from './failed-statement.js'
import { createJudge, type Judge } from './judge.js'
import { LeakWatch } from './leak-watch.js'
import { Ledger } from './ledger.js'
import type { EngineLogger } from './logger.js'
import type { EngineOptions, ShownOptions } from './options.js'
import { capacityOf } from './pool/capacity.js'
import type { Pool } from './pool/pool.js'
import { poolOptions } from './pool-options.js'
import { QueryRecorder } from './query-record.js'
import type { Queryable, StatementConfig, TransactionOptions } from './queryable.js'
import { ReplayBudget } from './replay.js'
import { Roles } from './roles.js'
import { SharedReads } from './shared-reads.js'
import { assertNoCallback, toConfig } from './statement-config.js'
import type { Deadline } from './stop-sign.js'
import { isSubmittable } from './submittable.js'
import { findMeter, Telemetry } from './telemetry.js'
import { signalIn } from './time-limit.js'
import type { Transaction } from './transaction.js'
import { translate } from './translate.js'

export type { EngineParts, EngineStatus }

const SECOND = 1000

/** `app.db`: one database, its pool, its options and its events. SQLAlchemy's `Engine`. */
export class Engine implements Queryable {
  readonly #options: EngineOptions
  readonly #log: EngineLogger
  readonly #emitter: Emitter
  readonly #judge: Judge
  readonly #connector: Connector
  readonly #pool: Pool<Client>
  readonly #budget: ReplayBudget
  readonly #roles = new Roles()
  readonly #telemetry: Telemetry | undefined
  #isClosed = false
  #closing: { readonly deadline: number; readonly timer: Timer } | undefined
  #pgPool: PgPool | undefined
  readonly #connectionHost: ConnectionHost
  readonly #sharedReads: SharedReads

  constructor({ settings, log, name, isDisconnect, onAbort }: EngineParts) {
    const options = settings.engineOptions
    const config = clientConfig(settings.url, options)
    this.#options = options
    this.#log = log
    this.#emitter = new Emitter((event, error) =>
      log.warn({ err: error, event }, 'a listener of a database event failed')
    )
    echoPool(this.#emitter, options.echo_pool, log)
    const onHookError = (err: unknown) => log.warn({ err }, 'the isDisconnect hook failed')
    this.#judge = createJudge(isDisconnect, onHookError, this.#roles)
    const { keep, limit } = capacityOf(poolOptions(options))
    const meter = findMeter()
    this.#telemetry =
      meter && new Telemetry(meter, { ...targetOf(config), name, limit, kept: keep })
    const { connector, pool } = openPool({
      telemetry: this.#telemetry,
      config,
      options,
      emitter: this.#emitter,
      judge: this.#judge,
      roles: this.#roles,
      log
    })
    this.#connector = connector
    this.#pool = pool
    const doubt = new Doubt({
      pool: this.#pool,
      clock: systemClock,
      // Who does not want to wait for a server that is away still wants to ask one that is there.
      timeout: Math.max(options.recovery_timeout, options.pool_pre_ping_timeout) * SECOND
    })
    this.#budget = new ReplayBudget(limit)
    this.#connectionHost = {
      pool: this.#pool,
      budget: this.#budget,
      meter: this.#telemetry,
      doubt: () => (this.#connector.givesEvidence ? doubt : undefined),
      onReplay: (statement, error) => this.#emitter.emit('replay', { statement, error }),
      pause: ms => new Promise<void>(resolve => systemClock.setTimer(ms, resolve)),
      pingTimeout: options.pool_pre_ping_timeout * SECOND,
      returnTimeout: options.close_timeout * SECOND,
      leakWatch: new LeakWatch(options.leak_timeout * SECOND, systemClock, log),
      judge: this.#judge,
      explain: (error, verdict, ledger, context) => {
        const translated = translate(error, verdict, ledger, want => this.#pool.retryAfter(want))
        recordStatement(translated, context.statement)
        if (error instanceof EngineError) return translated
        return this.#emitter.handleError({ ...context, original: error, error: translated })
      },
      onAbort: onAbort ?? 'cancel-reads',
      now: () => systemClock.now(),
      setTimer: (ms, fn) => systemClock.setTimer(ms, fn, { background: true })
    }
    this.#sharedReads = new SharedReads({
      open: () => this.connection(new Ledger(), true),
      clock: systemClock
    })
  }

  /**
   * Runs one statement on a connection of its own; plain reads of several callers share one for a moment. Not part of
   * any request: what it did is not known when a reply is decided on.
   *
   * @throws as {@link Connection.query}
   */
  query = (async (query: string | StatementConfig, values?: unknown[], callback?: unknown) => {
    assertNoCallback(values, callback)
    if (isSubmittable(query)) {
      throw new TypeError(
        'Expected a text or a config: a cursor, a stream or a COPY needs a connection that stays, app.db.connect()'
      )
    }
    const config = toConfig(query)
    if (SharedReads.mayShare(config)) return this.#sharedReads.run(config, values)
    const connection = this.connection(new Ledger(), false)
    try {
      return await connection.query(config, values)
    } finally {
      connection.end()
    }
  }) as Queryable['query']

  /** Runs `fn` in a transaction on a connection of its own; see {@link Connection.transaction}. */
  async transaction<Result>(
    fn: (transaction: Transaction) => Promise<Result>,
    options?: TransactionOptions
  ): Promise<Result> {
    const connection = this.connection(new Ledger(), false)
    try {
      return await connection.transaction(fn, options)
    } finally {
      connection.end()
    }
  }

  /**
   * A connection that the caller releases; `await using` does.
   *
   * @throws {PoolTimeoutError | OverloadedError | UnavailableError | MisconfiguredError} there is none
   * @throws the signal's reason
   */
  async connect(options: { signal?: AbortSignal | undefined } = {}): Promise<Connection> {
    return this.connection(new Ledger(), false).open(signalIn(options))
  }

  /** A connection that takes a client only when it is used; the plugin makes `req.db` of it. */
  connection(ledger: Ledger, isRequest: boolean, isReadOnly = false, deadline?: Deadline) {
    const { echo, record_queries } = this.#options
    const isRecorded = echo !== false || record_queries
    const recorder = isRecorded ? new QueryRecorder(this.#options, this.#log) : undefined
    const parts = { ledger, isRequest, isReadOnly, deadline, recorder }
    return new Connection(this.#connectionHost, parts)
  }

  /**
   * For health checks: resolves when the server answers, on an idle client or else on one opened for it, and so
   * never waits behind requests. Takes at most `pool_pre_ping_timeout` and `connect_timeout` together.
   *
   * @throws {UnavailableError | MisconfiguredError} it does not
   * @throws the signal's reason
   */
  async ping(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const signal = signalIn(options)
    signal?.throwIfAborted()
    if (this.#isClosed) throw new EngineClosedError()
    const lease = this.#pool.tryCheckout()
    if (lease !== undefined) {
      try {
        await lease.client.ping(this.#options.pool_pre_ping_timeout * SECOND)
        this.#pool.putBack(lease)
        return
      } catch (error) {
        this.#pool.checkin(lease, 'ping', error)
        const { scope } = this.#judge(error, 'ping', lease.client)
        if (scope === 'generation') this.#pool.invalidate(error, lease.generation)
      }
    }
    try {
      const client = await this.#connector.connect(() => {}, signal)
      await client.close()
    } catch (error) {
      const verdict = this.#judge(error, 'connect', undefined)
      throw translate(error, verdict, new Ledger(), want => this.#pool.retryAfter(want))
    }
  }

  /**
   * A `pg.Pool` for other libraries: its clients are the engine's, and what fails on them is told as the engine tells
   * it. Its `end()` leaves the engine open. Its `connect`, `remove` and `error` are about every client of the engine,
   * its `acquire` and `release` about those it has lent itself.
   */
  get pool(): PgPool {
    this.#pgPool ??= pgPool(clientSource(this, capacityOf(poolOptions(this.#options)).limit))
    return this.#pgPool
  }

  /** The options in force, defaults filled in, for diagnosis; times are seconds. Not `connect_args`: they may hold a password. */
  get options(): ShownOptions {
    const { connect_args: _connectArgs, ...shown } = this.#options
    return Object.freeze(shown)
  }

  /** Where the engine stands now; a plain object, cheap enough for a metrics scrape. */
  status(): EngineStatus {
    const { lastError } = this.#connector
    return { ...this.#pool.status(), lastError, replays: this.#budget.replays }
  }

  /** Has every client replaced: idle ones now, the others when they come back. */
  invalidate(error?: unknown): void {
    this.#pool.invalidate(error, undefined, 'user')
  }

  /** Closes every idle client now and the others when they come back; the next use opens new ones. */
  dispose(): void {
    this.invalidate()
  }

  /**
   * Has `close_timeout` begin, while everything goes on: requests under way may still take connections. When it
   * has passed the engine closes by force, so that none of them can keep a server from closing.
   */
  drain(): void {
    if (this.#closing !== undefined) return
    const timeout = this.#options.close_timeout * SECOND
    const timer = systemClock.setTimer(timeout, () => void this.close(), { background: true })
    this.#closing = { deadline: systemClock.now() + timeout, timer }
  }

  /** Closes the engine for good. Refuses what waits, and gives what is in use the rest of `close_timeout`. */
  close(): Promise<void> {
    this.drain()
    this.#isClosed = true
    this.#closing?.timer.cancel()
    this.#telemetry?.stop()
    const deadline = this.#closing?.deadline ?? 0
    return this.#pool.close(Math.max(0, deadline - systemClock.now()))
  }

  /** Listens to what happens to clients; returns what removes the listener again. */
  on<Name extends EventName>(event: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(event, listener)
  }
}
