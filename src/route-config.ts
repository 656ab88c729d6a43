import { beginText } from './begin-text.js'
import { describeValue, isPlainObject } from './describe-value.js'
import { GRACE_MS } from './patience.js'
import type { TransactionOptions } from './queryable.js'
import { isSeconds, SECONDS_EXPECTED } from './time-limit.js'

/** What a route may say of itself: `config: { db: { … } }`. */
export interface RouteDatabaseConfig {
  /**
   * Repeating a request to this route is harmless by its own design (an idempotency key, an upsert), so that
   * `Retry-After` may be sent even when nobody knows whether it took effect. Default: false.
   */
  idempotent?: boolean | undefined
  /**
   * Every `req.db` statement is part of one transaction: begun with the first, committed before the reply is sent,
   * rolled back if the handler throws or the status is 400 or more. A hijacked reply is never committed. Default: none.
   */
  transaction?: boolean | Omit<TransactionOptions, 'retries' | 'signal'> | undefined
  /** Have the server refuse any write of `req.db`. Default: false. */
  readOnly?: boolean | undefined
  /**
   * Seconds from the arrival of the request within which the database has to answer; a tenth of that before, at most
   * 0.1 s, its statements are cancelled and no more are started: the reply is a 503 `FST_DB_DEADLINE`. Fastify's
   * `handlerTimeout` counts too, if it is sooner. Default: none.
   */
  timeout?: number | undefined
}

const FLAGS = new Set(['idempotent', 'readOnly'])

/** What is wrong with a route's `config.db`. */
export function routeConfigFaults(config: unknown): string[] {
  if (config === undefined) return []
  if (!isPlainObject(config)) return [`config.db: expected an object, got ${describeValue(config)}`]
  return Object.entries(config).flatMap(([key, value]) => {
    if (value === undefined) return []
    if (FLAGS.has(key)) {
      if (typeof value === 'boolean') return []
      return [`config.db.${key}: expected true or false, got ${describeValue(value)}`]
    }
    if (key === 'transaction') return transactionFaults(value)
    if (key === 'timeout') return timeoutFaults(value)
    return [
      `config.db.${key}: unknown option; known are idempotent, readOnly, transaction, timeout`
    ]
  })
}

/** How long a request's work may take until it is cut off, in milliseconds; `handlerTimeout` is Fastify's, 0 = none. */
export function requestLimit(
  config: RouteDatabaseConfig | undefined,
  handlerTimeout: number
): number | undefined {
  const own = config?.timeout === undefined ? Number.POSITIVE_INFINITY : cutOff(config.timeout)
  const limit = Math.min(own, handlerTimeout || Number.POSITIVE_INFINITY)
  return limit === Number.POSITIVE_INFINITY ? undefined : limit
}

/** The rest, in which it is found out what became of what is cancelled, is part of what was allowed. */
function cutOff(seconds: number): number {
  const milliseconds = seconds * 1000
  return milliseconds - Math.min(GRACE_MS, milliseconds / 10)
}

/** The transaction that a route asks for, if it does. */
export function routeTransaction(
  config: RouteDatabaseConfig | undefined
): TransactionOptions | undefined {
  if (!config?.transaction) return undefined
  const options = config.transaction === true ? {} : config.transaction
  return config.readOnly ? { ...options, readOnly: true } : options
}

function timeoutFaults(value: unknown): string[] {
  if (isSeconds(value)) return []
  return [`config.db.timeout: expected ${SECONDS_EXPECTED}, got ${describeValue(value)}`]
}

function transactionFaults(value: unknown): string[] {
  if (typeof value === 'boolean') return []
  if (typeof value !== 'object' || value === null) {
    return [`config.db.transaction: expected true, false or an object, got ${describeValue(value)}`]
  }
  if ('retries' in value) return ['config.db.transaction.retries: a handler is never run again']
  if ('signal' in value) return ['config.db.transaction.signal: a route has no signal of its own']
  try {
    beginText(value)
    return []
  } catch (error) {
    return [`config.db.transaction: ${error instanceof Error ? error.message : error}`]
  }
}
