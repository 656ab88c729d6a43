import type { Clock } from '../clock.js'
import { EngineClosedError, OverloadedError, PoolTimeoutError } from '../errors.js'
import type { Checkout, WaitHooks } from './checkout.js'
import type { PoolClient, PoolCounters, PoolOptions } from './contract.js'
import { Deadlines } from './deadlines.js'
import { Drain } from './drain.js'
import type { Inventory } from './inventory.js'
import { Queue } from './queue.js'
import type { Recovery } from './recovery.js'
import { Sweeper } from './sweeper.js'

export interface WaitingLineParts<C extends PoolClient> {
  readonly options: PoolOptions
  readonly clock: Clock
  readonly inventory: Inventory<C>
  readonly recovery: Recovery
  readonly counters: PoolCounters
}

/**
 * The checkouts that wait, in order of arrival, and how long each of them may: to its own deadline, while the server
 * is known to be away no longer than `recovery_timeout`, and not at all where waiting has no prospect.
 */
export class WaitingLine<C extends PoolClient> implements WaitHooks<C> {
  readonly #parts: WaitingLineParts<C>
  readonly #waiters = new Queue<Checkout<C>>()
  readonly #drain = new Drain()
  readonly #deadlines: Deadlines
  readonly #parking: Sweeper

  constructor(parts: WaitingLineParts<C>) {
    this.#parts = parts
    this.#deadlines = new Deadlines(parts.clock)
    this.#parking = new Sweeper(parts.clock, () => this.parkAll())
  }

  get size(): number {
    return this.#waiters.size
  }

  get first(): Checkout<C> | undefined {
    return this.#waiters.first
  }

  /** The first waiter who would take an idle client. */
  get firstForIdle(): Checkout<C> | undefined {
    let waiter = this.#waiters.first
    while (waiter?.wantsFresh) waiter = waiter.next
    return waiter
  }

  /** Milliseconds until all who wait now will have been served, as far as that can be told. */
  get drainTime(): number {
    return this.#drain.estimate(this.#waiters.size) ?? 0
  }

  /** Who has just arrived is refused, or waits. */
  join(checkout: Checkout<C>): void {
    const refusal = this.#refusal(checkout)
    if (refusal === undefined) this.rejoin(checkout)
    else checkout.reject(refusal)
  }

  /** Who has waited before gets the place that its arrival gives it. */
  rejoin(checkout: Checkout<C>): void {
    this.#waiters.add(checkout)
    this.watch(checkout)
    if (!checkout.isSettled) this.#park(checkout)
  }

  /** From here on the checkout has a deadline, and may be called off. */
  watch(checkout: Checkout<C>): void {
    checkout.watch(this.#deadlines, this)
  }

  /** See {@link WaitHooks}. */
  onLeave(checkout: Checkout<C>): void {
    this.#waiters.remove(checkout)
  }

  /** See {@link WaitHooks}; exhausted and away are told apart. */
  timeoutError(): unknown {
    const { counters, recovery } = this.#parts
    counters.timeouts += 1
    return recovery.isClosed ? recovery.failure : new PoolTimeoutError()
  }

  /** Takes the first waiter out, to be served or to be told why not. */
  shift(): Checkout<C> | undefined {
    const waiter = this.#waiters.shift()
    if (waiter) this.#drain.served(this.#parts.clock.now(), this.#waiters.size === 0)
    return waiter
  }

  /** Takes this waiter out, to be served before those in front of it, who want something else. */
  take(waiter: Checkout<C>): void {
    this.#waiters.remove(waiter)
    this.#drain.served(this.#parts.clock.now(), this.#waiters.size === 0)
  }

  /** A connect failed, or time has passed: nobody waits longer for a server that is away than agreed. */
  parkAll(): void {
    for (let waiter = this.#waiters.first; waiter !== undefined; ) {
      const { next } = waiter
      this.#park(waiter)
      waiter = next
    }
  }

  /** The server is back: what counts again is each one's own deadline. */
  endParking(): void {
    this.#parking.stop()
  }

  /** Nobody waits any longer, and nobody will. */
  close(): void {
    this.#parking.stop()
    for (let waiter = this.#waiters.shift(); waiter; waiter = this.#waiters.shift()) {
      waiter.reject(new EngineClosedError())
    }
  }

  /** Why a checkout may not wait; none where a client can be opened for it. */
  #refusal(checkout: Checkout<C>): unknown {
    const { inventory, options, recovery } = this.#parts
    const isClosed = recovery.isClosed
    if (isClosed && options.timeout === 0) return recovery.failure
    const waiting = this.#waiters.size - inventory.connecting - (isClosed ? 0 : inventory.room)
    if (waiting < 0) return undefined
    if (options.timeout === 0) return this.timeoutError()
    if (waiting >= options.maxWaiting) return new OverloadedError()
    return this.#isHopeless(checkout) ? new OverloadedError() : undefined
  }

  /** Whether those in front will not be served before its deadline, at the pace of those served last, if that is known. */
  #isHopeless(checkout: Checkout<C>): boolean {
    const wait = this.#drain.estimate(this.#waiters.size)
    return wait !== undefined && checkout.arrivedAt + wait > checkout.deadline
  }

  /** From its arrival, or from when the server went away if that was later, it may wait for `recovery_timeout`. */
  #park(checkout: Checkout<C>): void {
    const { clock, inventory, options, recovery } = this.#parts
    if (recovery.closedAt === undefined) return
    const until = Math.max(checkout.arrivedAt, recovery.closedAt) + options.recoveryTimeout
    const isOver = until <= clock.now()
    if (!isOver) this.#parking.schedule(until)
    // A server that is only full lets the clients go on that are lent: they will come back.
    if (recovery.isFull && inventory.lent > 0) return
    if (isOver || checkout.deadline < recovery.nextProbeAt) this.#giveUp(checkout)
  }

  #giveUp(checkout: Checkout<C>): void {
    this.#waiters.remove(checkout)
    checkout.reject(this.#parts.recovery.failure)
  }
}
