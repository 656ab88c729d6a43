import type { PoolClient } from './contract.js'

/**
 * A place in the pool. It holds one client from the moment that is connected until it is closed; the limit
 * counts slots, so a slot exists while its client is still connecting.
 */
export class Slot<C extends PoolClient> {
  /** The generation the client was born in: stamped before it connects, since it may reach a server that is about to go. */
  readonly generation: number
  client: C | undefined
  /** Clock reading after which the client is too old to be lent. */
  expiresAt = Number.POSITIVE_INFINITY
  idleSince = 0
  /** Connected for the checkout that gets it, so there is nothing to verify. */
  isFresh = false
  /** To be replaced at its return, though it works: SQLAlchemy's soft invalidation. */
  isSoft = false
  /** Calls its connect off; one for each slot, since dozens may be connecting at once. */
  readonly calledOff = new AbortController()
  /** Connected because an older one was due, or to see whether the server is back: not because somebody waits for it. */
  readonly isBackground: boolean

  constructor(generation: number, isBackground: boolean) {
    this.generation = generation
    this.isBackground = isBackground
  }
}

/** One loan of a slot's client: what a borrower holds, and gives back once. */
export class Lease<C extends PoolClient> {
  readonly client: C
  readonly slot: Slot<C>
  isReturned = false
  /** Taken out of the pool: to return it is to close it. */
  isDetached = false
  /** Whether the client lives is for the borrower to find out; until it has, the loan may turn out to be none. */
  isUnverified: boolean
  /** The borrower is finding out. */
  isProbed = false

  constructor(slot: Slot<C>, client: C, isUnverified = false) {
    this.slot = slot
    this.client = client
    this.isUnverified = isUnverified
  }

  get generation(): number {
    return this.slot.generation
  }
}
