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
  /** Somebody who has signals waits, or has waited. */
  #hasSignals = false

  constructor(checkout: Checkout<C>) {
    this.#checkout = checkout
    this.#lease = checkout.promise
  }

  callOff(reason: unknown): void {
    this.isCalledOff = true
    this.#checkout.leave(() => reason)
  }

  /**
   * Those who wait are served in the order in which they came, whether or not they have signals.
   *
   * @throws the checkout's error, or the reason of the signal that was aborted
   */
  wait(signals: readonly AbortSignal[] | undefined): Promise<Lease<C>> {
    if (signals !== undefined) return this.#waitUnlessAborted(signals)
    // It stays to the end, as whoever has no signal does.
    this.#waiting += 1
    // Who has signals is told one turn later than the checkout, and so is who comes behind.
    return this.#hasSignals ? this.#lease.then() : this.#lease
  }

  #waitUnlessAborted(signals: readonly AbortSignal[]): Promise<Lease<C>> {
    this.#hasSignals = true
    // Whoever has left does not hear of it.
    this.#lease.catch(() => {})
    return new Promise((resolve, reject) => {
      throwIfAborted(signals)
      let isWaiting = true
      this.#waiting += 1
      const stop = () => {
        if (isWaiting) this.#waiting -= 1
        isWaiting = false
        for (const unwatch of watches) unwatch()
      }
      const leave = ({ reason }: AbortSignal) => {
        // The last one waits for what becomes of it: it may have a client already.
        if (this.#waiting === 1) return this.callOff(reason)
        stop()
        reject(reason)
      }
      const watches = signals.map(signal => onAborted(signal, () => leave(signal)))
      this.#lease.then(resolve, reject)
      this.#lease.then(stop, stop)
    })
  }
}
