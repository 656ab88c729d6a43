import { createRequire } from 'node:module'
import { errorCode } from './disconnect.js'
import { EngineError } from './errors.js'
import type { Instrument, Meter, MetricsApi, Observer } from './meter.js'
import type { PoolStatus } from './pool/contract.js'

/** What the metrics are about. */
export interface TelemetrySubject {
  readonly host: string
  readonly port: number
  readonly database: string
  /** What the pool goes by. Default: host, port and database. */
  readonly name: string | undefined
  /** Clients at most; Infinity = no limit. */
  readonly limit: number
  /** Clients that are kept when idle; Infinity = no limit. */
  readonly kept: number
}

type Attributes = Readonly<Record<string, string | number>>

/** Bounds of the classes, in seconds, as the conventions advise for operations. */
const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
/** Nothing else of a text is told: it may hold anything. */
const OPERATION =
  /^\s*(select|insert|update|delete|merge|with|values|table|begin|start|commit|end|rollback|abort|savepoint|release|set|reset|show|call|do|copy|create|alter|drop|truncate|listen|unlisten|notify|lock|explain|analyze|vacuum|refresh)\b/i
const SQLSTATE = /^[0-9A-Z]{5}$/

/**
 * Metrics of an engine by OpenTelemetry's conventions
 * (https://opentelemetry.io/docs/specs/semconv/database/database-metrics/). Neither statements nor parameters are in them.
 */
export class Telemetry {
  readonly #meter: Meter
  readonly #subject: TelemetrySubject
  readonly #server: Attributes
  readonly #pool: Attributes
  readonly #operations: Instrument
  readonly #created: Instrument
  readonly #waited: Instrument
  readonly #used: Instrument
  #stop: (() => void) | undefined

  constructor(meter: Meter, subject: TelemetrySubject) {
    const { database, host, name, port } = subject
    this.#meter = meter
    this.#subject = subject
    this.#server = {
      'db.system.name': 'postgresql',
      'db.namespace': database,
      'server.address': host,
      'server.port': port
    }
    this.#pool = { 'db.client.connection.pool.name': name ?? `${host}:${port}/${database}` }
    const seconds = (metric: string, description: string) =>
      meter.createHistogram(metric, {
        description,
        unit: 's',
        advice: { explicitBucketBoundaries: BOUNDS }
      })
    this.#operations = seconds('db.client.operation.duration', 'How long statements take.')
    this.#created = seconds('db.client.connection.create_time', 'How long connects take.')
    this.#waited = seconds('db.client.connection.wait_time', 'How long checkouts take.')
    this.#used = seconds('db.client.connection.use_time', 'How long connections are lent.')
  }

  /** Has the state of the pool asked for whenever metrics are collected, until {@link stop}. */
  watch(status: () => PoolStatus): void {
    const { kept, limit } = this.#subject
    const meter = this.#meter
    const gauge = (name: string, unit: string) =>
      meter.createObservableUpDownCounter(`db.client.connection.${name}`, { unit })
    const count = gauge('count', '{connection}')
    const max = gauge('max', '{connection}')
    const idleMax = gauge('idle.max', '{connection}')
    const idleMin = gauge('idle.min', '{connection}')
    const pending = gauge('pending_requests', '{request}')
    const timeouts = meter.createObservableCounter('db.client.connection.timeouts', {
      unit: '{timeout}'
    })
    const all = [count, max, idleMax, idleMin, pending, timeouts]
    const observe = (observer: Observer) => {
      const { checkedOut, counters, idle, waiting } = status()
      const inState = (state: string) => ({ ...this.#pool, 'db.client.connection.state': state })
      observer.observe(count, idle, inState('idle'))
      observer.observe(count, checkedOut, inState('used'))
      if (Number.isFinite(limit)) observer.observe(max, limit, this.#pool)
      if (Number.isFinite(kept)) observer.observe(idleMax, kept, this.#pool)
      // None is opened before somebody needs it.
      observer.observe(idleMin, 0, this.#pool)
      observer.observe(pending, waiting, this.#pool)
      observer.observe(timeouts, counters.timeouts, this.#pool)
    }
    meter.addBatchObservableCallback(observe, all)
    this.#stop = () => meter.removeBatchObservableCallback(observe, all)
  }

  stop(): void {
    this.#stop?.()
  }

  /** All in milliseconds. */
  created(duration: number): void {
    this.#created.record(duration / 1000, this.#pool)
  }

  waited(duration: number): void {
    this.#waited.record(duration / 1000, this.#pool)
  }

  used(duration: number): void {
    this.#used.record(duration / 1000, this.#pool)
  }

  /** Measures a statement, or, with their number, several in one round trip. */
  async measure<Result>(
    text: string | undefined,
    run: () => Promise<Result>,
    batchSize?: number
  ): Promise<Result> {
    const startedAt = performance.now()
    const end = (failure: Attributes) => {
      const attributes = { ...this.#server, ...operationOf(text, batchSize), ...failure }
      this.#operations.record((performance.now() - startedAt) / 1000, attributes)
    }
    try {
      const result = await run()
      end({})
      return result
    } catch (error) {
      end(failureOf(error))
      throw error
    }
  }
}

function operationOf(text: string | undefined, batchSize: number | undefined): Attributes {
  if (batchSize !== undefined) {
    return { 'db.operation.name': 'BATCH', 'db.operation.batch.size': batchSize }
  }
  const [, name] = OPERATION.exec(text ?? '') ?? []
  return name === undefined ? {} : { 'db.operation.name': name.toUpperCase() }
}

function failureOf(error: unknown): Attributes {
  const code = errorCode(error)
  const type = code ?? (error instanceof Error ? error.name : '_OTHER')
  const state = error instanceof EngineError ? errorCode(error.cause) : code
  return {
    'error.type': type,
    ...(state !== undefined && SQLSTATE.test(state) && { 'db.response.status_code': state })
  }
}

/** The meter of the application's OpenTelemetry; none where it has none, or has not set it up yet. */
export function findMeter(load: () => MetricsApi = loadApi): Meter | undefined {
  try {
    const { createNoopMeter, metrics } = load()
    const meter = metrics.getMeter('fastify-pg-engine')
    return meter === createNoopMeter() ? undefined : meter
  } catch {
    // An optional peer: it need not be there.
    return undefined
  }
}

function loadApi(): MetricsApi {
  return createRequire(import.meta.url)('@opentelemetry/api')
}
