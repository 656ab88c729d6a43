import { onAborted, throwIfAborted } from './abort-listener.js'

/**
 * One checkout that several statements of a session wait for: whoever's signal is aborted leaves the others waiting,
 * and the last one to leave calls it off.
 */
export class SharedCheckout<Lease> {
  readonly #checkout: Promise<Lease>
  readonly #calledOff = new AbortController()
  #waiting = 0

  constructor(start: (signal: AbortSignal) => Promise<Lease>) {
    this.#checkout = start(this.#calledOff.signal)
    // Whoever has left does not hear of it.
    this.#checkout.catch(() => {})
  }

  /** Nobody may join it any more. */
  get isCalledOff(): boolean {
    return this.#calledOff.signal.aborted
  }

  callOff(reason: unknown): void {
    this.#calledOff.abort(reason)
  }

  /** @throws the checkout's error, or the reason of the signal that was aborted */
  async wait(signals: readonly AbortSignal[] | undefined): Promise<Lease> {
    throwIfAborted(signals)
    if (signals === undefined) return this.#waitOn()
    return this.#waitUnlessAborted(signals)
  }

  async #waitOn(): Promise<Lease> {
    this.#waiting += 1
    try {
      return await this.#checkout
    } finally {
      this.#waiting -= 1
    }
  }

  async #waitUnlessAborted(signals: readonly AbortSignal[]): Promise<Lease> {
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
      return await Promise.race([this.#checkout, left])
    } finally {
      stop()
      for (const unwatch of watches) unwatch()
    }
  }
}
