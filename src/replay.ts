/** How many replays a success earns: a tenth, so that they never double the load of a server in trouble. */
const EARNED = 0.1

/**
 * The replays an engine may still make: a token bucket, filled by successes (Google SRE's retry budget, RFC 9110
 * §9.2.2 on who may repeat what).
 */
export class ReplayBudget {
  readonly #burst: number
  #tokens: number
  /** Replays made since the start. */
  replays = 0

  /** `capacity`: how many clients the pool may have; twice as many replays may be made at once. */
  constructor(capacity: number) {
    this.#burst = 2 * Math.min(capacity, MAX_COUNTED_CLIENTS)
    this.#tokens = this.#burst
  }

  succeeded(): void {
    if (this.#tokens < this.#burst) this.#tokens += EARNED
  }

  /** Whether one more replay may be made now. */
  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    this.replays += 1
    return true
  }
}

/** For pools without a limit. */
const MAX_COUNTED_CLIENTS = 100
