import type { TransactionOptions } from './queryable.js'
import { beginText } from './transaction.js'

/** What a route may say of itself: `config: { db: { … } }`. */
export interface RouteDatabaseConfig {
  /**
   * Repeating a request to this route is harmless by its own design (an idempotency key, an upsert), so that
   * `Retry-After` may be sent even when nobody knows whether it took effect. Default: false.
   */
  idempotent?: boolean
  /**
   * Every `req.db` statement is part of one transaction: begun with the first, committed before the reply is sent,
   * rolled back if the handler throws or the status is 400 or more. A hijacked reply is never committed. Default: none.
   */
  transaction?: boolean | Omit<TransactionOptions, 'retries'>
  /** Have the server refuse any write of `req.db`. Default: false. */
  readOnly?: boolean
}

const FLAGS = new Set(['idempotent', 'readOnly'])
const NOT_SUPPORTED_YET = new Set(['timeout'])

/** What is wrong with a route's `config.db`. */
export function routeConfigFaults(config: unknown): string[] {
  if (config === undefined) return []
  if (typeof config !== 'object' || config === null) return ['config.db: expected an object']
  return Object.entries(config).flatMap(([key, value]) => {
    if (FLAGS.has(key)) {
      return typeof value === 'boolean' ? [] : [`config.db.${key}: expected true or false`]
    }
    if (key === 'transaction') return transactionFaults(value)
    if (NOT_SUPPORTED_YET.has(key)) return [`config.db.${key}: not supported yet`]
    return [`config.db.${key}: unknown option; known are idempotent, readOnly, transaction`]
  })
}

/** The transaction that a route asks for, if it does. */
export function routeTransaction(
  config: RouteDatabaseConfig | undefined
): TransactionOptions | undefined {
  if (!config?.transaction) return undefined
  const options = config.transaction === true ? {} : config.transaction
  return config.readOnly ? { ...options, readOnly: true } : options
}

function transactionFaults(value: unknown): string[] {
  if (typeof value === 'boolean') return []
  if (typeof value !== 'object' || value === null) {
    return ['config.db.transaction: expected true, false or an object']
  }
  if ('retries' in value) return ['config.db.transaction.retries: a handler is never run again']
  try {
    beginText(value)
    return []
  } catch (error) {
    return [`config.db.transaction: ${error instanceof Error ? error.message : error}`]
  }
}
