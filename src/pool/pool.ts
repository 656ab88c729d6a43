import type { Clock } from '../clock.js'
import type { Verdict } from '../disconnect.js'
import { EngineClosedError } from '../errors.js'
import type { CloseReason } from '../events.js'
import { capacityOf } from './capacity.js'
import { Checkout, type CheckoutRequest, type Verification } from './checkout.js'
import type {
  Connector,
  PoolClient,
  PoolCounters,
  PoolHooks,
  PoolOptions,
  PoolStatus
} from './contract.js'
import { Dispatcher } from './dispatcher.js'
import { IdleLosses } from './idle-losses.js'
import { Inventory } from './inventory.js'
import { Recovery } from './recovery.js'
import { Returns } from './returns.js'
import { Lease, type Slot } from './slot.js'
import { WaitingLine } from './waiting-line.js'

/** Lends clients, takes them back, and replaces the ones that are lost, too old or of an invalidated generation. */
export class Pool<C extends PoolClient> {
  readonly #options: PoolOptions
  readonly #clock: Clock
  readonly #hooks: PoolHooks<C>
  readonly #inventory: Inventory<C>
  readonly #recovery: Recovery
  readonly #line: WaitingLine<C>
  readonly #dispatcher: Dispatcher<C>
  readonly #returns: Returns<C>
  readonly #idleLosses: IdleLosses
  readonly #counters: PoolCounters = {
    checkouts: 0,
    connects: 0,
    connectFailures: 0,
    pings: 0,
    pingFailures: 0,
    timeouts: 0
  }
  #isClosed = false
  #closed: Promise<void> | undefined

  constructor(
    options: PoolOptions,
    connect: Connector<C>,
    clock: Clock,
    random: () => number,
    hooks: PoolHooks<C>
  ) {
    this.#options = options
    this.#clock = clock
    this.#hooks = hooks
    this.#idleLosses = new IdleLosses(clock)
    const capacity = capacityOf(options)
    this.#inventory = new Inventory({
      capacity,
      recycleJitter: options.recycleJitter,
      isLifo: options.isLifo,
      connect,
      clock,
      random,
      counters: this.#counters,
      owner: {
        onOpened: slot => this.#dispatcher.onOpened(slot),
        onOpenFailed: (slot, error) => this.#dispatcher.onOpenFailed(slot, error),
        onIdleLost: (slot, error) => this.#onIdleLost(slot, error),
        onClosed: (client, reason, error) => hooks.close(client, reason, error),
        mayConnect: connecting => this.#recovery.allows(connecting)
      }
    })
    const inventory = this.#inventory
    const counters = this.#counters
    const recovery = new Recovery({
      clock,
      random,
      limit: capacity.limit,
      probe: () => inventory.open(true),
      onClosed: (error, isFull) => hooks.down(error, isFull),
      onOpened: (duration, wasFull) => {
        this.#line.endParking()
        hooks.up(duration, wasFull)
      }
    })
    const line = new WaitingLine<C>({ options, clock, inventory, recovery, counters })
    const dispatcher = new Dispatcher<C>({
      options,
      clock,
      hooks,
      inventory,
      line,
      recovery,
      counters,
      invalidate: (error, generation) => this.invalidate(error, generation)
    })
    this.#recovery = recovery
    this.#line = line
    this.#dispatcher = dispatcher
    this.#returns = new Returns({ hooks, inventory, dispatcher, isNullPool: options.isNullPool })
  }

  /** Somebody waits for a client. */
  get isAwaited(): boolean {
    return this.#dispatcher.isAwaited
  }

  get generation(): number {
    return this.#inventory.generation
  }

  /**
   * Lends a client, verified as the options say.
   *
   * @throws {PoolTimeoutError} `timeout` passed: waiting, connecting and pinging together
   * @throws {OverloadedError} `maxWaiting` checkouts wait already
   * @throws {EngineClosedError} the pool is closed, or closes meanwhile
   * @throws the connect's error, the third failed verification's, a listener's, or the signal's reason
   */
  checkout(request: CheckoutRequest = {}): Promise<Lease<C>> {
    return this.begin(request).promise
  }

  /** As {@link checkout}; what was to be had at once is there already, without a promise. */
  begin(request: CheckoutRequest = {}): Checkout<C> {
    const now = this.#clock.now()
    const checkout = new Checkout<C>(now, this.#deadlineOf(request, now), request)
    if (this.#isClosed) checkout.reject(new EngineClosedError())
    else if (request.signal?.aborted) checkout.reject(request.signal.reason)
    else this.#dispatcher.admit(checkout)
    return checkout
  }

  /** An idle client, unverified and without waiting; `undefined` when there is none. */
  tryCheckout(): Lease<C> | undefined {
    const slot = this.#isClosed ? undefined : this.#inventory.takeIdle()
    return slot?.client && new Lease(slot, slot.client)
  }

  /** Gives back what {@link tryCheckout} took and nobody used. */
  putBack(lease: Lease<C>): void {
    this.#returns.takeUnused(lease)
  }

  /**
   * A client lent unverified turned out to be dead: it is replaced like one whose ping has failed, and the borrower may
   * try the next one. It has not been given back before.
   */
  verificationFailed(lease: Lease<C>, verification: Verification, error: unknown): Verdict {
    lease.isReturned = true
    return this.#dispatcher.onVerificationFailed(lease.slot, verification, error)
  }

  /** Takes a client back: reset, and lent to the first waiter. With a `reason` it is closed. A second return does nothing. */
  checkin(lease: Lease<C>, reason?: CloseReason, error?: unknown): void {
    this.#returns.take(lease, reason, error)
  }

  /** Takes the client out of the pool for good: its place is free at once, and its return closes it. */
  detach(lease: Lease<C>): void {
    if (lease.isReturned || lease.isDetached || lease.slot.client === undefined) return
    lease.isDetached = true
    this.#inventory.detach(lease.slot)
    this.#hooks.detach(lease.client)
    this.#dispatcher.serve()
  }

  invalidateSoftly(lease: Lease<C>, error: unknown): void {
    if (lease.isReturned || lease.isDetached) return
    lease.slot.isSoft = true
    this.#hooks.softInvalidate(lease.client, error)
  }

  /**
   * Replaces every client of `generation` and older. A generation is invalidated once: the late failure of a
   * client that was replaced already does not touch its successors.
   */
  invalidate(
    error: unknown,
    generation = this.#inventory.generation,
    reason: CloseReason = 'generation'
  ): boolean {
    if (this.#isClosed || generation < this.#inventory.generation) return false
    if (reason === 'generation') this.#recovery.suspect()
    this.#inventory.nextGeneration(reason, error)
    this.#hooks.generation(this.#inventory.generation, error)
    this.#dispatcher.serve()
    return true
  }

  /**
   * Refuses checkouts, closes idle clients and connects, waits for the rest, and closes by force what has not come
   * back after `timeout` milliseconds. Resolves when the last socket is closed.
   */
  close(timeout: number): Promise<void> {
    this.#isClosed = true
    this.#recovery.stop()
    this.#returns.close()
    this.#dispatcher.close()
    this.#closed ??= this.#inventory.close(timeout)
    return this.#closed
  }

  status(): PoolStatus {
    const { size, idle, connecting, generation, overflow } = this.#inventory
    return {
      state: this.#recovery.state,
      size,
      idle,
      checkedOut: size - idle - connecting,
      connecting,
      overflow,
      waiting: this.#line.size,
      generation,
      counters: { ...this.#counters }
    }
  }

  /** Milliseconds after which a repetition makes sense: of what failed for want of a server, or of a free client. */
  retryAfter(want: 'server' | 'client'): number {
    return want === 'server' ? this.#recovery.retryAfter : this.#line.drainTime
  }

  /** `pool_timeout` 0 means not to wait for a client in use; opening one has a limit of its own. */
  #deadlineOf(request: CheckoutRequest, now: number): number {
    const { timeout } = this.#options
    const own = timeout === 0 ? Number.POSITIVE_INFINITY : now + timeout
    return Math.min(own, request.deadline ?? Number.POSITIVE_INFINITY)
  }

  #onIdleLost(slot: Slot<C>, error: unknown): void {
    const isServer = this.#hooks.judge(error, 'idle', undefined).scope === 'generation'
    if (isServer && this.#idleLosses.add(slot.generation)) this.invalidate(error, slot.generation)
    else this.#dispatcher.serve()
  }
}
