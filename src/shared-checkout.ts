import { onAborted, throwIfAborted } from './abort-listener.js'
import type { Checkout } from './pool/checkout.js'
import type { PoolClient } from './pool/contract.js'
import type { Lease } from './pool/slot.js'

/**
 * One checkout that several statements of a session wait for: whoever's signal is aborted leaves the others waiting,
 * and the last one to leave calls it off.
 */
export class SharedCheckout<C extends PoolClient> {
  readonly #checkout: Checkout<C>
  readonly #lease: Promise<Lease<C>>
  /** Nobody may join it any more. */
  isCalledOff = false
  #waiting = 0

  constructor(checkout: Checkout<C>) {
    this.#checkout = checkout
    this.#lease = checkout.promise
    // Whoever has left does not hear of it.
    this.#lease.catch(() => {})
  }

  callOff(reason: unknown): void {
    this.isCalledOff = true
    this.#checkout.leave(() => reason)
  }

  /** @throws the checkout's error, or the reason of the signal that was aborted */
  wait(signals: readonly AbortSignal[] | undefined): Promise<Lease<C>> {
    if (signals !== undefined) return this.#waitUnlessAborted(signals)
    // It stays to the end, as whoever has no signal does.
    this.#waiting += 1
    return this.#lease
  }

  async #waitUnlessAborted(signals: readonly AbortSignal[]): Promise<Lease<C>> {
    throwIfAborted(signals)
    const waiter = { isWaiting: true }
    this.#waiting += 1
    const stop = () => {
      if (waiter.isWaiting) this.#waiting -= 1
      waiter.isWaiting = false
    }
    let watches: (() => void)[] = []
    const left = new Promise<never>((_, reject) => {
      const leave = ({ reason }: AbortSignal) => {
        // The last one waits for what becomes of it: it may have a client already.
        if (this.#waiting === 1) return this.callOff(reason)
        stop()
        reject(reason)
      }
      watches = signals.map(signal => onAborted(signal, () => leave(signal)))
    })
    try {
      return await Promise.race([this.#lease, left])
    } finally {
      stop()
      for (const unwatch of watches) unwatch()
    }
  }
}
