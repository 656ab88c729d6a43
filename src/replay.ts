/** How many successes earn one replay: enough that they never double the load of a server in trouble. */
const SUCCESSES = 10

/**
 * The replays an engine may still make: a token bucket, filled by successes (Google SRE's retry budget, RFC 9110
 * §9.2.2 on who may repeat what).
 */
export class ReplayBudget {
  readonly #burst: number
  /** In successes: whole numbers add up. */
  #earned: number
  /** Replays made since the start. */
  replays = 0

  /** `capacity`: how many clients the pool may have; twice as many replays may be made at once. */
  constructor(capacity: number) {
    this.#burst = 2 * Math.min(capacity, MAX_COUNTED_CLIENTS) * SUCCESSES
    this.#earned = this.#burst
  }

  succeeded(): void {
    if (this.#earned < this.#burst) this.#earned += 1
  }

  /** Whether one more replay may be made now. */
  take(): boolean {
    if (this.#earned < SUCCESSES) return false
    this.#earned -= SUCCESSES
    this.replays += 1
    return true
  }
}

/** For pools without a limit. */
const MAX_COUNTED_CLIENTS = 100
