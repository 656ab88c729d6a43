import type { Clock, Timer } from '../clock.js'

/** One timer for all that falls due: it is set anew only for something that is due sooner. */
export class Sweeper {
  readonly #clock: Clock
  readonly #sweep: () => void
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY

  /** `sweep` runs when something is due; it schedules what comes next. */
  constructor(clock: Clock, sweep: () => void) {
    this.#clock = clock
    this.#sweep = sweep
  }

  /** Something is due at this clock reading, in milliseconds. */
  schedule(at: number): void {
    if (at >= this.#at) return
    this.stop()
    this.#at = at
    const run = () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#sweep()
    }
    this.#timer = this.#clock.setTimer(Math.max(0, at - this.#clock.now()), run, {
      background: true
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#at = Number.POSITIVE_INFINITY
  }
}
