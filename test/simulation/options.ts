import type { PoolOptions } from '../../src/pool/contract.js'

/** How often what goes wrong, from 0 to 1. */
export interface FaultRates {
  readonly connectFails: number
  readonly connectHangs: number
  /** Of the connects that fail, those that fail for good; and those that find no place. The others find nobody. */
  readonly refusesLogin: number
  readonly refusesFull: number
  readonly arrivesDead: number
  readonly pingFails: number
  readonly pingHangs: number
  /** The ping fails with what the user's `isDisconnect` says is no disconnect. */
  readonly pingMisjudged: number
  readonly resetFails: number
  readonly resetHangs: number
  readonly listenerThrows: number
  /** A listener of `checkout` calls the checkout off. */
  readonly listenerAborts: number
  /** A listener of `close` or `checkin` has the pool checked, which takes an idle client. */
  readonly listenerPings: number
  /** The share of connects, and of all else, that takes its time; the rest happens at once. */
  readonly slowConnects: number
  readonly slow: number
}

export const NO_FAULTS: FaultRates = {
  connectFails: 0,
  connectHangs: 0,
  refusesLogin: 0,
  refusesFull: 0,
  arrivesDead: 0,
  pingFails: 0,
  pingHangs: 0,
  pingMisjudged: 0,
  resetFails: 0,
  resetHangs: 0,
  listenerThrows: 0,
  listenerAborts: 0,
  listenerPings: 0,
  slowConnects: 0,
  slow: 0
}

/** All that a world follows from, besides what is done in it. */
export interface WorldOptions {
  /** Of what the server does. */
  readonly seed: number
  readonly pool: PoolOptions
  readonly connectTimeout: number
  readonly faults: FaultRates
}

/** What the options promise, worked out here once more and not taken from the core. */
export interface Limits {
  readonly keep: number
  readonly limit: number
  readonly linger: number
  readonly maxAge: number
}

export function limitsOf(options: PoolOptions): Limits {
  const { isNullPool, poolSize, maxOverflow, idleTimeout, recycle } = options
  if (isNullPool) return { keep: 0, limit: Infinity, linger: 0, maxAge: -1 }
  return {
    keep: poolSize === 0 ? Infinity : poolSize,
    limit: poolSize === 0 || maxOverflow === -1 ? Infinity : poolSize + maxOverflow,
    linger: idleTimeout,
    maxAge: recycle === -1 ? Infinity : recycle
  }
}
