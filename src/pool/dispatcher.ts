import type { Clock } from '../clock.js'
import { exemptError, PingTimeoutError } from '../disconnect.js'
import { EngineClosedError, OverloadedError, PoolTimeoutError } from '../errors.js'
import { type Checkout, MAX_TRIES } from './checkout.js'
import type { PoolClient, PoolCounters, PoolHooks, PoolOptions } from './contract.js'
import type { Inventory } from './inventory.js'
import { mustVerify } from './liveness.js'
import { Queue } from './queue.js'
import { Lease, type Slot } from './slot.js'

/** What the dispatcher works with; the inventory it serves from belongs to the pool. */
export interface DispatcherParts<C extends PoolClient> {
  readonly options: PoolOptions
  readonly clock: Clock
  readonly hooks: PoolHooks<C>
  readonly inventory: Inventory<C>
  readonly counters: PoolCounters
  invalidate(error: unknown, generation: number): void
}

/**
 * Brings checkouts and clients together. Strictly first come, first served: what becomes available first, by a
 * return, a connect or a connect that failed and left room for another, is the first waiter's. A waiter is tied
 * to no connect. While someone waits who would take an idle client, none is idle.
 */
export class Dispatcher<C extends PoolClient> {
  readonly #parts: DispatcherParts<C>
  readonly #waiters = new Queue<Checkout<C>>()
  #isClosed = false

  constructor(parts: DispatcherParts<C>) {
    this.#parts = parts
  }

  get waiting(): number {
    return this.#waiters.size
  }

  /** A checkout arrives. */
  admit(checkout: Checkout<C>): void {
    const slot = this.#parts.inventory.takeIdle()
    if (slot) this.#offer(checkout, slot)
    else this.#enqueue(checkout)
  }

  /** A slot with a live client is free. */
  supply(slot: Slot<C>): void {
    const waiter = this.#waiters.shift()
    if (waiter) this.#offer(waiter, slot)
    else this.#parts.inventory.putIdle(slot)
  }

  /** Capacity is free: idle clients go to those who wait, and what is still missing is opened. */
  serve(): void {
    for (let waiter = this.#firstForIdle(); waiter; waiter = this.#firstForIdle()) {
      const slot = this.#parts.inventory.takeIdle()
      if (slot === undefined) break
      this.#waiters.remove(waiter)
      this.#offer(waiter, slot)
    }
    this.#openForWaiters()
  }

  onOpened(slot: Slot<C>): void {
    const { inventory } = this.#parts
    const error = slot.client?.lost
    const unfit = this.#isClosed ? 'close' : inventory.unfitness(slot)
    if (unfit === undefined) {
      this.supply(slot)
      return
    }
    inventory.discard(slot, unfit, error)
    // Dead on arrival: a try of the one who would have got it.
    const waiter = unfit === 'error' && !slot.isReplacement ? this.#waiters.shift() : undefined
    if (waiter) this.#tryAgain(waiter, error)
    else this.#openForWaiters()
  }

  /** The failure is the first waiter's, who would have got the client; the place it leaves is the next one's. */
  onOpenFailed(slot: Slot<C>, error: unknown): void {
    this.#parts.counters.connectFailures += 1
    const waiter = slot.isReplacement ? undefined : this.#waiters.shift()
    if (waiter?.doubtedGeneration !== undefined) {
      this.#parts.invalidate(error, waiter.doubtedGeneration)
    }
    waiter?.reject(error)
    this.#openForWaiters()
  }

  /** Nobody waits any longer, and nobody will. */
  close(): void {
    this.#isClosed = true
    for (let waiter = this.#waiters.shift(); waiter; waiter = this.#waiters.shift()) {
      waiter.reject(new EngineClosedError())
    }
  }

  /** The first waiter who would take an idle client. */
  #firstForIdle(): Checkout<C> | undefined {
    let waiter = this.#waiters.first
    while (waiter?.wantsFresh) waiter = waiter.next
    return waiter
  }

  #enqueue(checkout: Checkout<C>): void {
    const refusal = this.#refusal()
    if (refusal !== undefined) {
      checkout.reject(refusal)
      return
    }
    this.#wait(checkout)
    this.#openForWaiters()
  }

  /** Why a checkout may not wait for somebody else's client; none where one can be opened for it. */
  #refusal(): Error | undefined {
    const { inventory, options } = this.#parts
    if (inventory.hasRoom) return undefined
    const waiting = this.#waiters.size - inventory.connecting
    if (options.timeout === 0) return waiting < 0 ? undefined : this.#timedOut()
    return waiting >= options.maxWaiting ? new OverloadedError() : undefined
  }

  #wait(checkout: Checkout<C>): void {
    this.#waiters.add(checkout)
    this.#watch(checkout)
  }

  #watch(checkout: Checkout<C>): void {
    checkout.watch(
      this.#parts.clock,
      () => this.#timedOut(),
      () => this.#waiters.remove(checkout)
    )
  }

  #timedOut(): PoolTimeoutError {
    this.#parts.counters.timeouts += 1
    return new PoolTimeoutError()
  }

  #openForWaiters(): void {
    const { inventory } = this.#parts
    while (inventory.connecting < this.#waiters.size && inventory.hasRoom) inventory.open()
  }

  /** Lends the slot's client to the checkout, after a ping where one is due. */
  #offer(checkout: Checkout<C>, slot: Slot<C>): void {
    const { clock, counters, options } = this.#parts
    const { client } = slot
    if (client === undefined) return
    if (!mustVerify(slot, client, options, clock.now())) {
      this.#lend(checkout, slot, client)
      return
    }
    this.#watch(checkout)
    counters.pings += 1
    client.ping(options.pingTimeout).then(
      () => this.#onVerified(checkout, slot, client),
      error => this.#onPingFailed(checkout, slot, error)
    )
  }

  #onVerified(checkout: Checkout<C>, slot: Slot<C>, client: C): void {
    const { inventory } = this.#parts
    const unfit = this.#isClosed ? 'close' : inventory.unfitness(slot)
    if (unfit === undefined) {
      if (checkout.isSettled) this.supply(slot)
      else this.#lend(checkout, slot, client)
      return
    }
    inventory.discard(slot, unfit, client.lost)
    if (unfit === 'error') this.#tryAgain(checkout, client.lost)
    else this.#rejoin(checkout)
  }

  #onPingFailed(checkout: Checkout<C>, slot: Slot<C>, error: unknown): void {
    const { counters, hooks, inventory } = this.#parts
    counters.pingFailures += 1
    const verdict = hooks.judge(error, 'ping', slot.client)
    inventory.discard(slot, 'ping', error)
    if (verdict.scope === 'generation') this.#parts.invalidate(error, slot.generation)
    if (error instanceof PingTimeoutError) checkout.doubtedGeneration = slot.generation
    if (verdict.failure !== 'disconnect') {
      exemptError(error)
      checkout.reject(error)
    }
    this.#tryAgain(checkout, error)
  }

  #lend(checkout: Checkout<C>, slot: Slot<C>, client: C): void {
    const { counters, hooks, inventory } = this.#parts
    try {
      hooks.checkout(client)
    } catch (error) {
      const { failure } = hooks.judge(error, 'checkout', client)
      inventory.discard(slot, 'error', error)
      if (failure !== 'disconnect') checkout.reject(error)
      this.#tryAgain(checkout, error)
      return
    }
    // A listener may have called the checkout off.
    if (checkout.isSettled) {
      hooks.checkin(client)
      this.supply(slot)
      return
    }
    counters.checkouts += 1
    checkout.resolve(new Lease(slot, client))
  }

  /** After a client that turned out to be dead: another one, or after the last try what was wrong with it. */
  #tryAgain(checkout: Checkout<C>, error: unknown): void {
    checkout.tries += 1
    if (checkout.tries >= MAX_TRIES) checkout.reject(error)
    this.#rejoin(checkout)
  }

  /** Back to the place that its arrival gives it; who has left already only leaves capacity behind. */
  #rejoin(checkout: Checkout<C>): void {
    if (this.#isClosed) checkout.reject(new EngineClosedError())
    if (!checkout.isSettled) this.#wait(checkout)
    this.serve()
  }
}
