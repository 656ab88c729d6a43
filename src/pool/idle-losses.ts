import type { Clock } from '../clock.js'

/** Two idle clients of a generation lost within this time say that the server is gone, not one session. */
const WINDOW_MS = 1000

/** Tells the end of one session from the end of the server, by the clients nobody was using. */
export class IdleLosses {
  readonly #clock: Clock
  #last = { at: Number.NEGATIVE_INFINITY, generation: -1 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** An idle client was lost; whether its whole generation must be taken to be. */
  add(generation: number): boolean {
    const last = this.#last
    const at = this.#clock.now()
    this.#last = { at, generation }
    return last.generation === generation && at - last.at <= WINDOW_MS
  }
}
