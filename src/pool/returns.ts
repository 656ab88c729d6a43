import type { CloseReason } from '../events.js'
import type { PoolClient, PoolHooks } from './contract.js'
import type { Dispatcher } from './dispatcher.js'
import type { Inventory } from './inventory.js'
import type { Lease, Slot } from './slot.js'

export interface ReturnsParts<C extends PoolClient> {
  readonly hooks: PoolHooks<C>
  readonly inventory: Inventory<C>
  readonly dispatcher: Dispatcher<C>
  readonly isNullPool: boolean
}

/** Takes lent clients back: reset for the next borrower, or closed so that their place is the next one's. */
export class Returns<C extends PoolClient> {
  readonly #parts: ReturnsParts<C>
  #isClosed = false

  constructor(parts: ReturnsParts<C>) {
    this.#parts = parts
  }

  /** From here on whatever comes back is closed. */
  close(): void {
    this.#isClosed = true
  }

  /** See {@link Pool.checkin}. */
  take(lease: Lease<C>, reason: CloseReason | undefined, error: unknown): void {
    if (lease.isReturned) return
    lease.isReturned = true
    const { slot, client } = lease
    if (lease.isDetached) {
      this.#parts.hooks.close(client, 'detach', error)
      void client.close()
      return
    }
    slot.isFresh = false
    const unfit = reason ?? this.#unfitness(slot)
    if (unfit !== undefined) {
      this.#retire(slot, unfit, error ?? client.lost)
      return
    }
    const resetting = client.reset(this.#parts.dispatcher.isAwaited)
    if (resetting === undefined) {
      this.#takeBack(slot, client)
      return
    }
    resetting.then(
      () => this.#takeBack(slot, client),
      failure => this.#retire(slot, 'reset', failure)
    )
  }

  /** Takes back what nobody has used: there is nothing to reset. */
  takeUnused(lease: Lease<C>): void {
    if (lease.isReturned) return
    lease.isReturned = true
    const { client, slot } = lease
    const unfit = this.#unfitness(slot)
    if (unfit === undefined) {
      this.#parts.dispatcher.supply(slot)
      return
    }
    this.#parts.inventory.discard(slot, unfit, client.lost)
    this.#parts.dispatcher.serve()
  }

  #unfitness(slot: Slot<C>): CloseReason | undefined {
    if (this.#isClosed) return 'close'
    const unfit = this.#parts.inventory.unfitness(slot)
    // Nothing takes its place.
    return unfit === 'recycle' && this.#parts.isNullPool ? 'overflow' : unfit
  }

  /** A client came back and was made fit; its session may have ended, or its time come, meanwhile. */
  #takeBack(slot: Slot<C>, client: C): void {
    const unfit = this.#unfitness(slot)
    if (unfit !== undefined) {
      this.#retire(slot, unfit, client.lost)
      return
    }
    this.#parts.hooks.checkin(client)
    this.#parts.dispatcher.supply(slot)
  }

  /** Closes a client that came back, and lets the next one use its place. */
  #retire(slot: Slot<C>, reason: CloseReason, error: unknown): void {
    const { dispatcher, hooks, inventory } = this.#parts
    inventory.discard(slot, reason, error)
    hooks.checkin(undefined)
    dispatcher.serve()
    if (reason === 'recycle') inventory.replace()
  }
}
