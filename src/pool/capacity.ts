/** What the pool's size follows from; times in milliseconds. */
export interface CapacityOptions {
  readonly poolSize: number
  readonly maxOverflow: number
  readonly idleTimeout: number
  readonly recycle: number
  readonly isNullPool: boolean
}

/** The limits that SQLAlchemy's options amount to, without their special values. */
export interface Capacity {
  /** Clients kept however long they idle. */
  readonly keep: number
  /** Clients at most. */
  readonly limit: number
  /** How long an idle client above `keep` is kept, in milliseconds. */
  readonly linger: number
  /** Age in milliseconds at which a client is replaced. */
  readonly maxAge: number
}

/**
 * `pool_size` 0 and `max_overflow` -1 mean no limit, `pool_recycle` -1 no age. `NullPool` is a pool that keeps
 * nothing and whose clients are too old as soon as they come back.
 */
export function capacityOf(options: CapacityOptions): Capacity {
  const unlimited = Number.POSITIVE_INFINITY
  if (options.isNullPool) return { keep: 0, limit: unlimited, linger: 0, maxAge: -1 }
  const keep = options.poolSize === 0 ? unlimited : options.poolSize
  return {
    keep,
    limit: options.maxOverflow === -1 ? unlimited : keep + options.maxOverflow,
    linger: options.idleTimeout,
    maxAge: options.recycle < 0 ? unlimited : options.recycle
  }
}
