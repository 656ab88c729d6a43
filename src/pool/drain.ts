/** Fewer waiters served than this say nothing about the next ones. */
const ENOUGH = 20
/** Weight of the latest interval. */
const WEIGHT = 0.1

/** How fast a backlog shrinks: from it follows how long who joins at the end will wait. */
export class Drain {
  #lastAt: number | undefined
  #interval = 0
  #served = 0

  /** One who waited was served at this clock reading, in milliseconds; others wait behind, or none (`isLast`). */
  served(now: number, isLast: boolean): void {
    if (this.#lastAt !== undefined) {
      const interval = now - this.#lastAt
      this.#interval += (interval - this.#interval) * (this.#served === 0 ? 1 : WEIGHT)
      this.#served += 1
    }
    // The next backlog may be served at another pace.
    this.#lastAt = isLast ? undefined : now
    if (isLast) this.#served = 0
  }

  /** Milliseconds until `count` waiters will have been served; `undefined` while too few have been to tell. */
  estimate(count: number): number | undefined {
    return this.#served < ENOUGH ? undefined : count * this.#interval
  }
}
