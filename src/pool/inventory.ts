import type { Clock } from '../clock.js'
import { EngineClosedError } from '../errors.js'
import type { CloseReason } from '../events.js'
import type { Capacity } from './capacity.js'
import type { Connector, PoolClient, PoolCounters } from './contract.js'
import { IdleList } from './idle-list.js'
import { type Unfitness, unfitness } from './liveness.js'
import { Slot } from './slot.js'
import { Sweeper } from './sweeper.js'

/** What the inventory tells the pool that owns it. */
export interface InventoryOwner<C extends PoolClient> {
  /** A client connected; its slot is in the owner's hands now. */
  onOpened(slot: Slot<C>): void
  onOpenFailed(slot: Slot<C>, error: unknown): void
  /** An idle client's session ended without our doing; it is discarded already. */
  onIdleLost(slot: Slot<C>, error: unknown): void
  onClosed(client: C, reason: CloseReason, error: unknown): void
  /** Whether one more may be opened, besides those `connecting` already: while the server is away, only to see whether it is back. */
  mayConnect(connecting: number): boolean
}

export interface InventoryParts<C extends PoolClient> {
  readonly capacity: Capacity
  /** `pool_recycle_jitter` */
  readonly recycleJitter: number
  /** `pool_use_lifo` */
  readonly isLifo: boolean
  readonly connect: Connector<C>
  readonly clock: Clock
  /** Uniform from 0 to 1, 1 excluded. */
  readonly random: () => number
  readonly counters: PoolCounters
  readonly owner: InventoryOwner<C>
}

/**
 * The pool's stock: which slots exist, which of them are idle, and when an idle one is due to go. It opens and
 * closes clients and knows no borrower. At every moment each slot is connecting, idle, or in its owner's hands.
 */
export class Inventory<C extends PoolClient> {
  readonly #parts: InventoryParts<C>
  readonly #slots = new Set<Slot<C>>()
  readonly #idle: IdleList<C>
  readonly #closing = new Set<Promise<void>>()
  readonly #sweeper: Sweeper
  #connecting = 0
  #generation = 0
  #isClosed = false
  #onEmpty: (() => void) | undefined

  constructor(parts: InventoryParts<C>) {
    this.#parts = parts
    this.#idle = new IdleList(parts.isLifo)
    this.#sweeper = new Sweeper(parts.clock, () => this.#sweep())
  }

  get size(): number {
    return this.#slots.size
  }

  get idle(): number {
    return this.#idle.size
  }

  get connecting(): number {
    return this.#connecting
  }

  get generation(): number {
    return this.#generation
  }

  /** How many more clients may be opened. */
  get room(): number {
    return this.#parts.capacity.limit - this.#slots.size
  }

  /** Clients in their owner's hands: lent, being verified for a borrower or being reset after one. */
  get lent(): number {
    return this.#slots.size - this.#idle.size - this.#connecting
  }

  /** How many slots are beyond what is kept. */
  get overflow(): number {
    return Math.max(0, this.#slots.size - this.#parts.capacity.keep)
  }

  /** An idle client that may be lent; unfit ones met on the way are closed. */
  takeIdle(): Slot<C> | undefined {
    for (;;) {
      const slot = this.#idle.take()
      if (slot === undefined) return undefined
      const reason = this.unfitness(slot)
      if (reason === undefined) return slot
      this.discard(slot, reason, slot.client?.lost)
    }
  }

  /** Why the slot's client must not be lent any more, found without asking it. */
  unfitness(slot: Slot<C>): Unfitness | undefined {
    return unfitness(slot, this.#generation, this.#parts.clock.now())
  }

  /** Keeps the slot's client for a later borrower, or closes it when enough are kept. */
  putIdle(slot: Slot<C>): void {
    slot.isFresh = false
    if (this.overflow > 0 && this.#parts.capacity.linger === 0) {
      this.discard(slot, 'overflow', undefined)
      return
    }
    slot.idleSince = this.#parts.clock.now()
    this.#idle.add(slot)
    this.#sweeper.schedule(this.#dueAt(slot))
  }

  /** Opens a client in a new slot; the owner makes sure that there is room. */
  open(isBackground = false): Slot<C> {
    const { capacity, clock, connect, counters, owner, random, recycleJitter } = this.#parts
    const slot = new Slot<C>(this.#generation, isBackground)
    slot.expiresAt = clock.now() + capacity.maxAge * (1 - recycleJitter * random())
    this.#slots.add(slot)
    this.#connecting += 1
    counters.connects += 1
    connect(error => this.#onLost(slot, error), slot.calledOff.signal).then(
      client => {
        this.#connecting -= 1
        slot.client = client
        slot.isFresh = true
        owner.onOpened(slot)
      },
      error => {
        this.#connecting -= 1
        this.#remove(slot)
        owner.onOpenFailed(slot, error)
      }
    )
    return slot
  }

  /**
   * Opens in the background what takes the place of a client that grew too old, so that no request waits for it. Where
   * that must not be now, it is opened when it is needed.
   */
  replace(): void {
    if (this.#isClosed || !this.#parts.owner.mayConnect(this.#connecting)) return
    if (this.#slots.size < this.#parts.capacity.keep && this.room > 0) this.open(true)
  }

  /** Gives the slot's place free at once, however long its client takes to close. */
  discard(slot: Slot<C>, reason: CloseReason, error: unknown): void {
    const { client } = slot
    this.#remove(slot)
    if (client === undefined) return
    slot.client = undefined
    this.#parts.owner.onClosed(client, reason, error)
    const closed: Promise<void> = client.close().finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }

  /** Lets go of the slot's client, open as it is. */
  detach(slot: Slot<C>): void {
    slot.client = undefined
    this.#remove(slot)
  }

  /** Starts a new generation: older clients are closed, idle ones now and the others when they come back. */
  nextGeneration(reason: CloseReason, error: unknown): void {
    this.#generation += 1
    this.#discardIdle(reason, error)
  }

  /** See {@link Pool.close}. */
  async close(timeout: number): Promise<void> {
    this.#sweeper.stop()
    this.#isClosed = true
    for (const slot of this.#slots) slot.calledOff.abort(new EngineClosedError())
    this.#discardIdle('close', undefined)
    if (this.#slots.size > 0) await this.#whenEmpty(timeout)
    for (const slot of [...this.#slots]) this.discard(slot, 'close', undefined)
    await Promise.all(this.#closing)
  }

  #whenEmpty(timeout: number): Promise<void> {
    return new Promise(resolve => {
      const timer = this.#parts.clock.setTimer(timeout, resolve)
      const others = this.#onEmpty
      this.#onEmpty = () => {
        timer.cancel()
        resolve()
        others?.()
      }
    })
  }

  #onLost(slot: Slot<C>, error: unknown): void {
    if (!this.#idle.remove(slot)) return
    this.discard(slot, 'error', error)
    this.#parts.owner.onIdleLost(slot, error)
  }

  #discardIdle(reason: CloseReason, error: unknown): void {
    for (const slot of this.#idle.toArray()) this.discard(slot, reason, error)
  }

  #remove(slot: Slot<C>): void {
    this.#idle.remove(slot)
    this.#slots.delete(slot)
    if (this.#slots.size === 0) this.#onEmpty?.()
  }

  /** Closes what idled too long or grew too old. */
  #sweep(): void {
    const { capacity, clock } = this.#parts
    for (const slot of this.#idle.toArray()) {
      // A listener may have taken it meanwhile.
      if (!this.#idle.has(slot)) continue
      const unfit = this.unfitness(slot)
      if (unfit !== undefined) {
        this.discard(slot, unfit, slot.client?.lost)
        if (unfit === 'recycle') this.replace()
      } else if (this.overflow > 0 && clock.now() - slot.idleSince >= capacity.linger) {
        this.discard(slot, 'overflow', undefined)
      }
    }
    for (const slot of this.#idle.toArray()) this.#sweeper.schedule(this.#dueAt(slot))
  }

  #dueAt(slot: Slot<C>): number {
    // A client is too old after its limit, not at it: one more millisecond, or the sweep would come for nothing.
    const expires = slot.expiresAt + 1
    if (this.overflow === 0) return expires
    return Math.min(expires, slot.idleSince + this.#parts.capacity.linger)
  }
}
