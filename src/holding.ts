import { throwIfAborted } from './abort-listener.js'
import type { Client } from './client/client.js'
import { Failure } from './failure.js'
import type { Lease } from './pool/slot.js'
import type { SessionHost, Use } from './session-host.js'
import { SharedCheckout } from './shared-checkout.js'
import type { StopSign } from './stop-sign.js'

/** What a holding needs of the session it belongs to. */
export interface Holder {
  readonly stop: StopSign
  readonly isEnded: boolean
  onTaken(): void
  /** Nothing is held any more, nor waited for. */
  onDropped(): void
  /** The client was lost while nothing ran on it; it is still held. */
  onLost(client: Client): void
}

/**
 * The client a session holds: taken from the pool with the first use, kept while it is wanted, given back once and never
 * while something runs on it.
 */
export class Holding {
  readonly #host: SessionHost
  readonly #session: Holder
  #lease: Lease<Client> | undefined
  #checkingOut: SharedCheckout<Client> | undefined
  /** Uses that are not over, and those among them that wait for a client. */
  #uses = 0
  #entering = 0
  #holds = 0
  #isReturning = false
  #stopLeakWatch: (() => void) | undefined

  constructor(host: SessionHost, session: Holder) {
    this.#host = host
    this.#session = session
  }

  get lease(): Lease<Client> | undefined {
    return this.#lease
  }

  get client(): Client | undefined {
    return this.#lease?.client
  }

  /** Whether somebody waits for a client. */
  get isWaiting(): boolean {
    return this.#entering > 0
  }

  /** Whether a transaction is open on it. */
  get isHeld(): boolean {
    return this.#holds > 0
  }

  /** A use begins, to be ended by {@link leave}; `isLast`: the client is given back as soon as it can be all the same. */
  enter(isLast: boolean): void {
    this.#uses += 1
    if (!this.#session.isEnded) this.#isReturning = isLast
  }

  leave(): void {
    this.#uses -= 1
    this.#returnIfQuiet()
  }

  /**
   * The client, if it is held or to be had at once; nothing if {@link wait} has to be called.
   *
   * @throws why the session may not take one
   */
  takeNow(use: Use): Lease<Client> | undefined {
    // Whoever comes while others wait, waits as well, or would overtake.
    if (this.#entering > 0) return undefined
    return this.#lease ?? this.#start(use)
  }

  /**
   * The client, when its turn has come.
   *
   * @throws {Failure} of the checkout, or what the session was stopped for
   * @throws the reason of a signal of the use
   */
  async wait(use: Use): Promise<Lease<Client>> {
    this.#entering += 1
    try {
      for (;;) {
        const lease = this.#have(use)
        if (lease !== undefined) return lease
        try {
          this.#accept(await this.#checkingOut?.wait(use.signals))
        } catch (error) {
          throw this.#refused(error, use)
        }
        if (this.#session.isEnded) this.#session.stop.assertNotSet()
      }
    } finally {
      this.#entering -= 1
      if (this.#entering === 0) this.#checkingOut = undefined
    }
  }

  /** From here on the client is not given back, though nothing runs on it: a transaction is open. */
  hold(): void {
    this.#holds += 1
  }

  unhold(): void {
    this.#holds -= 1
    this.#returnIfQuiet()
  }

  /** Gives the client back as soon as nothing runs on it; a later use takes another one. */
  release(): void {
    this.#isReturning = true
    this.#returnIfQuiet()
  }

  /** Who waits for a client stops waiting. */
  callOff(reason: unknown): void {
    this.#checkingOut?.callOff(reason)
  }

  /** The client is somebody else's affair from now on. */
  drop(): void {
    this.#lease = undefined
    this.#stopLeakWatch?.()
    this.#stopLeakWatch = undefined
    this.#session.onDropped()
  }

  #start(use: Use): Lease<Client> | undefined {
    const host = this.#host
    const { stop } = this.#session
    if (this.#session.isEnded) stop.assertNotSet()
    // Not to be begun for somebody who has left already: nobody would give back what came of it.
    throwIfAborted(use.signals)
    this.#stopLeakWatch ??= host.leakWatch.watch()
    const { verification } = use
    const checkout = host.pool.begin({ deadline: stop.deadline, verification })
    if (checkout.lease === undefined) {
      this.#checkingOut = new SharedCheckout(checkout)
      return undefined
    }
    this.#taken(checkout.lease)
    if (this.#session.isEnded) stop.assertNotSet()
    return checkout.lease
  }

  /** The client, if there is one by now; if not, a checkout to wait for has been begun. */
  #have(use: Use): Lease<Client> | undefined {
    // Begun anew behind one that was called off, by somebody who was served at once.
    if (this.#lease !== undefined) return this.#lease
    if (this.#checkingOut?.isCalledOff === false) return undefined
    this.#checkingOut = undefined
    return this.#start(use)
  }

  #accept(lease: Lease<Client> | undefined): void {
    if (lease === undefined) return
    if (lease.isReturned) this.#checkingOut = undefined
    else if (this.#lease && this.#lease !== lease) this.#host.pool.putBack(lease)
    else this.#taken(lease)
  }

  /** What a checkout's error is to those who waited for it. */
  #refused(error: unknown, use: Use): unknown {
    const reason = this.#session.stop.reasonFor(error, use.signals)
    const isLast = !reason || this.#entering === 1
    if (isLast && this.#lease === undefined) this.drop()
    if (reason) return reason.thrown
    return new Failure(error, this.#host.judge(error, 'connect', undefined), 'connect')
  }

  #taken(lease: Lease<Client>): void {
    this.#lease = lease
    this.#session.onTaken()
  }

  #returnIfQuiet(): void {
    const lease = this.#lease
    if (!this.#isReturning || lease === undefined) return
    if (this.#uses > 0 || this.#holds > 0) return
    this.#isReturning = false
    const { client } = lease
    if (client.lost !== undefined) {
      this.#session.onLost(client)
      return
    }
    if (!client.isReady) {
      this.#isReturning = true
      client.onceReady(() => this.#returnIfQuiet())
      return
    }
    this.drop()
    this.#host.pool.checkin(lease)
  }
}
