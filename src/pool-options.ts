import type { EngineOptions } from './options.js'
import type { PoolOptions } from './pool/contract.js'

const SECOND = 1000

/** `ENGINE_OPTIONS` count in seconds, as SQLAlchemy does; the pool counts in milliseconds, as Node.js does. */
export function poolOptions(options: EngineOptions): PoolOptions {
  return {
    poolSize: options.pool_size,
    maxOverflow: options.max_overflow,
    isNullPool: options.poolclass === 'NullPool',
    isLifo: options.pool_use_lifo,
    maxWaiting: options.pool_max_waiting,
    timeout: options.pool_timeout * SECOND,
    recoveryTimeout: options.recovery_timeout * SECOND,
    idleTimeout: options.pool_idle_timeout * SECOND,
    recycle: options.pool_recycle === -1 ? -1 : options.pool_recycle * SECOND,
    recycleJitter: options.pool_recycle_jitter,
    isPrePing: options.pool_pre_ping,
    window: options.pool_pre_ping_window * SECOND,
    pingTimeout: options.pool_pre_ping_timeout * SECOND
  }
}
