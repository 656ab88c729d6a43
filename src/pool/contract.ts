import type { Phase, Verdict } from '../disconnect.js'
import type { CloseReason } from '../events.js'
import type { CapacityOptions } from './capacity.js'
import type { LivenessRules } from './liveness.js'

/**
 * What the pool needs to know of a client: a structural view, so that the pool never learns of `pg` and its
 * tests bring clients of their own.
 */
export interface PoolClient {
  /** Clock reading, in milliseconds, of the last sign of life from the server. */
  readonly heardAt: number
  /** Why the session is gone, once it is: its socket closed or a FATAL was read from it. */
  readonly lost: unknown
  /** Resolves when the server answered, rejects when it did not within `timeout` milliseconds. */
  ping(timeout: number): Promise<void>
  /**
   * Makes the session fit for the next borrower; `undefined` when there is nothing to be done. `isAwaited`: there is one
   * already, whose first statement may take along what is left to be sent.
   */
  reset(isAwaited: boolean): Promise<void> | undefined
  /** Ends the session politely, or by force if that takes long; resolves when the socket is closed, never rejects. */
  close(): Promise<void>
}

/**
 * Opens a client. `onLost` is called once, whenever its session ends without our doing; `signal` says that nobody
 * needs the client any more.
 */
export type Connector<C extends PoolClient> = (
  onLost: (error: unknown) => void,
  signal: AbortSignal
) => Promise<C>

/** `ENGINE_OPTIONS` as the pool counts: times in milliseconds. */
export interface PoolOptions extends CapacityOptions, LivenessRules {
  readonly timeout: number
  /** How long a checkout may wait for a server that is known to be away. */
  readonly recoveryTimeout: number
  readonly maxWaiting: number
  readonly recycleJitter: number
  readonly isLifo: boolean
  readonly pingTimeout: number
}

/** What the pool leaves to its owner. Only `checkout` may throw; it runs before each loan. */
export interface PoolHooks<C extends PoolClient> {
  judge(error: unknown, phase: Phase, client: C | undefined): Verdict
  checkout(client: C): void
  checkin(client: C | undefined): void
  softInvalidate(client: C, error: unknown): void
  detach(client: C): void
  /** A new generation has begun. */
  generation(generation: number, error: unknown): void
  close(client: C, reason: CloseReason, error: unknown): void
  /** The server is away, or has no place left for us (`isFull`): from here on one prober connects. */
  down(error: unknown, isFull: boolean): void
  /** It takes clients again, after `duration` milliseconds. */
  up(duration: number, wasFull: boolean): void
}

export interface PoolStatus {
  /** `down`: the server is known to be away. `recovering`: it is back, and clients are opened a few at a time. */
  readonly state: 'up' | 'down' | 'recovering'
  /** Clients open or being opened. */
  readonly size: number
  readonly idle: number
  /** Lent, being verified for a borrower or being reset after one. */
  readonly checkedOut: number
  readonly connecting: number
  /** How many of `size` are beyond `pool_size`. */
  readonly overflow: number
  /** Checkouts that wait for a client. */
  readonly waiting: number
  readonly generation: number
  readonly counters: Readonly<PoolCounters>
}

/** What happened since the start. */
export interface PoolCounters {
  checkouts: number
  connects: number
  connectFailures: number
  pings: number
  pingFailures: number
  timeouts: number
}
