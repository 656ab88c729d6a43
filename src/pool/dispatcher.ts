import type { Clock } from '../clock.js'
import { exemptError, type Verdict } from '../disconnect.js'
import { EngineClosedError } from '../errors.js'
import { PingTimeoutError } from '../session-errors.js'
import { type Checkout, MAX_TRIES, type Verification } from './checkout.js'
import type { PoolClient, PoolCounters, PoolHooks, PoolOptions } from './contract.js'
import type { Inventory } from './inventory.js'
import { mustVerify } from './liveness.js'
import type { Recovery } from './recovery.js'
import { Lease, type Slot } from './slot.js'
import type { WaitingLine } from './waiting-line.js'

/** What the dispatcher works with; all of it belongs to the pool. */
export interface DispatcherParts<C extends PoolClient> {
  readonly options: PoolOptions
  readonly clock: Clock
  readonly hooks: PoolHooks<C>
  readonly inventory: Inventory<C>
  readonly line: WaitingLine<C>
  readonly recovery: Recovery
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
  #isClosed = false

  constructor(parts: DispatcherParts<C>) {
    this.#parts = parts
  }

  /** Somebody waits for a client. */
  get isAwaited(): boolean {
    return this.#parts.line.size > 0
  }

  /** A checkout arrives. */
  admit(checkout: Checkout<C>): void {
    const { inventory, line } = this.#parts
    // Where there is no room for a new client, one that idles is better than none.
    const slot = checkout.wantsFresh && inventory.room > 0 ? undefined : inventory.takeIdle()
    if (slot) {
      this.#offer(checkout, slot)
      return
    }
    line.join(checkout)
    this.#openForWaiters()
  }

  /** A slot with a live client is free. */
  supply(slot: Slot<C>): void {
    const waiter = this.#parts.line.shift()
    if (waiter) this.#offer(waiter, slot)
    else this.#parts.inventory.putIdle(slot)
  }

  /** Capacity is free: idle clients go to those who wait, and what is still missing is opened. */
  serve(): void {
    const { inventory, line } = this.#parts
    for (let waiter = line.firstForIdle; waiter; waiter = line.firstForIdle) {
      const slot = inventory.takeIdle()
      if (slot === undefined) break
      line.take(waiter)
      this.#offer(waiter, slot)
    }
    this.#openForWaiters()
  }

  onOpened(slot: Slot<C>): void {
    const { inventory, line, recovery } = this.#parts
    recovery.ended(slot)
    recovery.succeeded(line.size > 1 && inventory.room > 0)
    const error = slot.client?.lost
    const unfit = this.#isClosed ? 'close' : inventory.unfitness(slot)
    if (unfit === undefined) {
      this.supply(slot)
      this.#openForWaiters()
      return
    }
    inventory.discard(slot, unfit, error)
    // Dead on arrival: a try of the one who would have got it.
    const waiter = unfit === 'error' && !slot.isBackground ? line.shift() : undefined
    if (waiter) this.#tryAgain(waiter, error)
    else this.#openForWaiters()
  }

  /**
   * If the server is away, whoever waits goes on waiting, behind the gate. Any other failure is the first waiter's,
   * who would have got the client, and the place it leaves is the next one's.
   */
  onOpenFailed(slot: Slot<C>, error: unknown): void {
    const { counters, hooks, line, recovery } = this.#parts
    counters.connectFailures += 1
    if (this.#isClosed) return
    recovery.ended(slot)
    const { failure, isCutShort } = hooks.judge(error, 'connect', undefined)
    const waiter = slot.isBackground ? undefined : line.first
    const isFull = failure === 'too_many_connections'
    if (isFull || failure === 'unavailable') {
      if (isCutShort) recovery.cutShort(error)
      else recovery.failed(error, isFull)
      line.parkAll()
    } else {
      if (waiter) line.take(waiter)
      waiter?.reject(error)
      recovery.succeeded(line.size > 0)
    }
    // A server that is full is there: what a silent client has cast doubt on may be well.
    if (waiter?.doubtedGeneration !== undefined && !isFull) {
      this.#parts.invalidate(error, waiter.doubtedGeneration)
    }
    this.#openForWaiters()
  }

  /** Nobody is served any more. */
  close(): void {
    this.#isClosed = true
    this.#parts.line.close()
  }

  #openForWaiters(): void {
    const { inventory, line, recovery } = this.#parts
    while (
      inventory.connecting < line.size &&
      inventory.room > 0 &&
      recovery.allows(inventory.connecting)
    ) {
      inventory.open()
    }
  }

  /** Lends the slot's client to the checkout, after a ping where one is due. */
  #offer(checkout: Checkout<C>, slot: Slot<C>): void {
    const { clock, counters, line, options, recovery } = this.#parts
    const { client } = slot
    if (client === undefined) return
    if (!mustVerify(slot, client, options, clock.now(), recovery.isClosed)) {
      this.#lend(checkout, slot, client)
      return
    }
    if (checkout.isDeferred && !recovery.isClosed) {
      this.#lend(checkout, slot, client, true)
      return
    }
    line.watch(checkout)
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
    const verdict = this.#discardDead(checkout, slot, error)
    if (verdict.failure !== 'disconnect') {
      exemptError(error)
      checkout.reject(error)
    }
    this.#tryAgain(checkout, error)
  }

  /** See {@link Pool.verificationFailed}. */
  onVerificationFailed(slot: Slot<C>, verification: Verification, error: unknown): Verdict {
    verification.tries += 1
    const verdict = this.#discardDead(verification, slot, error)
    if (verdict.failure !== 'disconnect') exemptError(error)
    this.#parts.hooks.checkin(undefined)
    this.serve()
    return verdict
  }

  /** A client did not answer as it should: what it means for the others, and for who was to get it. */
  #discardDead(
    borrower: { doubtedGeneration: number | undefined },
    slot: Slot<C>,
    error: unknown
  ): Verdict {
    const { counters, hooks, inventory } = this.#parts
    counters.pingFailures += 1
    const verdict = hooks.judge(error, 'ping', slot.client)
    inventory.discard(slot, 'ping', error)
    if (verdict.scope === 'generation') this.#parts.invalidate(error, slot.generation)
    if (error instanceof PingTimeoutError) borrower.doubtedGeneration = slot.generation
    return verdict
  }

  #lend(checkout: Checkout<C>, slot: Slot<C>, client: C, isUnverified = false): void {
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
    checkout.resolve(new Lease(slot, client, isUnverified))
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
    if (!checkout.isSettled) this.#parts.line.rejoin(checkout)
    this.serve()
  }
}
