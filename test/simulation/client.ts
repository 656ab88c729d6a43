import type { PoolClient } from '../../src/pool/contract.js'
import type { Booking } from './booking.js'

/**
 * Where a client is by the books.
 *
 * - `idle`: in the pool's hands, and nobody's
 * - `returning`: given back, and not yet taken back or closed; `resetting` while that takes time
 * - `closing`: the hook was told, and `close()` has not been called
 */
export type ClientState =
  | 'idle'
  | 'verifying'
  | 'lent'
  | 'returning'
  | 'resetting'
  | 'detached'
  | 'closing'
  | 'closed'

/** What has just happened to a client, while the pool deals with it. */
export type Stage =
  | 'none'
  | 'arrived'
  | 'verified'
  | 'pingFailed'
  | 'refusedByListener'
  | 'returned'
  | 'putBack'
  | 'resetDone'
  | 'resetFailed'

/** Why a client is opened: `replacement` and `probe` are nobody's, so that no waiter is to blame for their failure. */
export type Purpose = 'waiter' | 'replacement' | 'probe'

/** What a client follows from: decided before it connects. */
export interface Birth {
  readonly generation: number
  readonly expiresAt: number
  readonly purpose: Purpose
}

/** What the client asks its server for. */
export interface ClientServer {
  ping(client: SimulatedClient, timeout: number): Promise<void>
  reset(client: SimulatedClient): Promise<void> | undefined
  close(client: SimulatedClient): Promise<void>
}

/** A session as the pool sees it, and what the world knows of it besides. */
export class SimulatedClient implements PoolClient {
  readonly number: number
  readonly birth: Birth
  readonly onLost: (error: unknown) => void
  heardAt: number
  lost: unknown

  state: ClientState = 'idle'
  stage: Stage = 'none'
  isSoft = false
  isDetached = false
  idleSince = 0
  /** Order in which clients became idle. */
  idleOrder = 0
  /** The reason it was given back with. */
  brokenFor: string | undefined
  /** For whom it is or was verified. */
  claimant: Booking | undefined
  /** Why its ping, its reset or the listener failed. */
  failure: unknown
  /** Fails the ping or reset that is under way. */
  interrupt: ((error: unknown) => void) | undefined

  readonly #server: ClientServer

  constructor(
    server: ClientServer,
    number: number,
    birth: Birth,
    now: number,
    onLost: (error: unknown) => void
  ) {
    this.#server = server
    this.number = number
    this.birth = birth
    this.heardAt = now
    this.onLost = onLost
  }

  ping(timeout: number): Promise<void> {
    return this.#server.ping(this, timeout)
  }

  reset(): Promise<void> | undefined {
    return this.#server.reset(this)
  }

  close(): Promise<void> {
    return this.#server.close(this)
  }

  /** The session ends without the pool's doing. */
  lose(error: unknown): void {
    if (this.lost !== undefined) return
    this.lost = error
    const isOver = this.state === 'closed' || this.state === 'closing'
    if (!isOver) this.onLost(error)
    this.interrupt?.(error)
  }
}
