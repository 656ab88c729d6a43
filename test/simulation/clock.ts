import type { Clock, Timer } from '../../src/clock.js'

interface Entry {
  readonly at: number
  readonly fn: () => void
}

/**
 * Time that passes only when it is told to. The pool's timers are counted; events of the world around it (a server
 * that answers late) run on the same clock and are not.
 */
export class SimulatedClock implements Clock {
  #now = 1_000_000
  #poolTimers = 0
  /** What is due first is last; of what is due together, what was set first. */
  readonly #entries: Entry[] = []

  now(): number {
    return this.#now
  }

  /** Timers that the pool has set, and that have neither run nor been cancelled. */
  get poolTimers(): number {
    return this.#poolTimers
  }

  /** When the next timer is due. */
  get nextAt(): number {
    return this.#entries.at(-1)?.at ?? Number.POSITIVE_INFINITY
  }

  setTimer(ms: number, fn: () => void): Timer {
    if (Number.isNaN(ms)) throw new TypeError('Expected a number of milliseconds, got NaN')
    this.#poolTimers += 1
    const entry: Entry = {
      at: this.#now + Math.max(0, ms),
      fn: () => {
        this.#poolTimers -= 1
        fn()
      }
    }
    this.#insert(entry)
    return {
      cancel: () => {
        if (this.#remove(entry)) this.#poolTimers -= 1
      }
    }
  }

  /** Sets a timer of the world's own. */
  after(ms: number, fn: () => void): void {
    this.#insert({ at: this.#now + ms, fn })
  }

  /** Runs the next timer due until then, late if time is past it already; `false` when there is none. */
  runNext(until: number): boolean {
    const entry = this.#entries.at(-1)
    if (entry === undefined || entry.at > until) return false
    this.#entries.pop()
    this.moveTo(entry.at)
    entry.fn()
    return true
  }

  /** Lets time pass though timers may be due: the event loop was busy. */
  moveTo(at: number): void {
    this.#now = Math.max(this.#now, at)
  }

  #insert(entry: Entry): void {
    let index = this.#entries.length
    while (index > 0 && this.#isDueBy(index - 1, entry.at)) index -= 1
    this.#entries.splice(index, 0, entry)
  }

  #isDueBy(index: number, at: number): boolean {
    return (this.#entries[index]?.at ?? Number.POSITIVE_INFINITY) <= at
  }

  #remove(entry: Entry): boolean {
    const index = this.#entries.indexOf(entry)
    if (index === -1) return false
    this.#entries.splice(index, 1)
    return true
  }
}
