import type { PoolClient } from './contract.js'
import type { Deadlines, Due } from './deadlines.js'
import type { Queued } from './queue.js'
import type { Lease } from './slot.js'

export interface CheckoutRequest {
  /** Clock reading, in milliseconds, after which nobody needs the client any more. */
  deadline?: number | undefined
  /** Leaves at any step; the checkout rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** The borrower finds out by itself whether the client lives: it is lent as it is, see {@link Lease.isUnverified}. */
  verification?: Verification | undefined
}

/** What one borrower has found out about the clients it was lent, from one checkout to the next. */
export class Verification {
  /** Clients that turned out to be dead so far. */
  tries = 0
  /** The generation of a client that did not answer in time: it is doubted until a fresh connect has succeeded. */
  doubtedGeneration: number | undefined

  get isExhausted(): boolean {
    return this.tries >= MAX_TRIES
  }
}

/** What a checkout that waits is told by whom it waits for. */
export interface WaitHooks<C extends PoolClient> {
  /** Its time is up. */
  timeoutError(): unknown
  onLeave(checkout: Checkout<C>): void
}

/** How many clients a checkout tries before it reports what is wrong with them. */
export const MAX_TRIES = 3

let arrivals = 0

/**
 * One call for a client, from its arrival until it is settled, exactly once. Whoever holds a slot for it must
 * look at `isSettled` after every wait: the caller may have left.
 */
export class Checkout<C extends PoolClient> implements Queued<Checkout<C>>, Due {
  readonly order = ++arrivals
  previous: Checkout<C> | undefined
  next: Checkout<C> | undefined

  readonly arrivedAt: number
  readonly deadline: number
  isSettled = false
  /** What it came to, if that is a client. */
  lease: Lease<C> | undefined
  /** Clients that turned out to be dead so far. */
  tries: number
  /** The generation of a client whose ping timed out: it is doubted until a fresh connect has succeeded. */
  doubtedGeneration: number | undefined
  /** The borrower verifies. */
  readonly isDeferred: boolean

  readonly #signal: AbortSignal | undefined
  #deadlines: Deadlines | undefined
  #onAbort: (() => void) | undefined
  #hooks: WaitHooks<C> | undefined
  #error: unknown
  #promise: Promise<Lease<C>> | undefined
  #resolve: ((lease: Lease<C>) => void) | undefined
  #reject: ((error: unknown) => void) | undefined

  /** Clock readings in milliseconds. */
  constructor(arrivedAt: number, deadline: number, request: CheckoutRequest = {}) {
    const { signal, verification } = request
    this.arrivedAt = arrivedAt
    this.deadline = deadline
    this.#signal = signal
    this.isDeferred = verification !== undefined
    this.tries = verification?.tries ?? 0
    this.doubtedGeneration = verification?.doubtedGeneration
  }

  /** For those who have to wait: made when it is asked for, since most are served at once. */
  get promise(): Promise<Lease<C>> {
    if (this.lease !== undefined) return Promise.resolve(this.lease)
    if (this.isSettled) return Promise.reject(this.#error)
    this.#promise ??= new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    return this.#promise
  }

  /** Whether only a new client will do: a silent one casts doubt on all, and the last try is not for an old one. */
  get wantsFresh(): boolean {
    return this.doubtedGeneration !== undefined || this.tries === MAX_TRIES - 1
  }

  /** From here on the checkout takes time, and may be called off: `hooks` are told before it rejects. */
  watch(deadlines: Deadlines, hooks: WaitHooks<C>): void {
    if (this.#deadlines !== undefined) return
    this.#deadlines = deadlines
    this.#hooks = hooks
    deadlines.add(this)
    const signal = this.#signal
    if (signal === undefined) return
    this.#onAbort = () => this.leave(() => signal.reason)
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (signal.aborted) this.#onAbort()
  }

  /** See {@link Due}. */
  onDue(): void {
    this.leave(() => this.#hooks?.timeoutError())
  }

  /** The caller does not want it any more, at whatever step it is. */
  leave(reason: () => unknown): void {
    if (this.isSettled) return
    const error = reason()
    this.#hooks?.onLeave(this)
    this.reject(error)
  }

  resolve(lease: Lease<C>): void {
    this.#settle()
    this.lease = lease
    this.#resolve?.(lease)
  }

  reject(error: unknown): void {
    if (this.isSettled) return
    this.#settle()
    this.#error = error
    this.#reject?.(error)
  }

  #settle(): void {
    this.isSettled = true
    this.#deadlines?.remove(this)
    if (this.#onAbort) this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
