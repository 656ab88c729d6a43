/** So many intervals between waiters served say something about the next ones. */
const ENOUGH = 20

/** How long it will take to serve some waiters, as far as that can be told: within these bounds, in milliseconds. */
export interface Outlook {
  readonly least: number
  readonly most: number
}

/** How fast a backlog has been served, since it began: no estimate may lie outside of what has been seen. */
export class Pace {
  #lastAt: number | undefined
  #intervals = 0
  #shortest = Number.POSITIVE_INFINITY
  #longest = 0

  served(now: number, isLast: boolean): void {
    if (isLast) {
      this.#forget()
      return
    }
    if (this.#lastAt !== undefined) {
      this.#intervals += 1
      this.#shortest = Math.min(this.#shortest, now - this.#lastAt)
      this.#longest = Math.max(this.#longest, now - this.#lastAt)
    }
    this.#lastAt = now
  }

  outlook(count: number): Outlook | undefined {
    if (this.#intervals < ENOUGH) return undefined
    return { least: count * this.#shortest, most: count * this.#longest }
  }

  #forget(): void {
    this.#lastAt = undefined
    this.#intervals = 0
    this.#shortest = Number.POSITIVE_INFINITY
    this.#longest = 0
  }
}
