import type { Clock, Timer } from '../clock.js'

/** What has to be over at a clock reading, in milliseconds. */
export interface Due {
  readonly deadline: number
  /** The time has come; it removes itself. */
  onDue(): void
}

/**
 * One timer for many deadlines: a timer for each would be set and called off once for every checkout that waits. It keeps
 * the process alive for as long as there is one to be kept.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #all = new Set<Due>()
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(due: Due): void {
    this.#all.add(due)
    if (due.deadline < this.#at || this.#timer === undefined) this.#setTimer(due.deadline)
  }

  remove(due: Due): void {
    this.#all.delete(due)
    if (this.#all.size === 0) this.#stop()
  }

  #setTimer(at: number): void {
    this.#stop()
    this.#at = at
    this.#timer = this.#clock.setTimer(at - this.#clock.now(), () => this.#sweep())
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#at = Number.POSITIVE_INFINITY
  }

  #sweep(): void {
    this.#stop()
    const now = this.#clock.now()
    let next: number | undefined
    for (const due of this.#all) {
      if (due.deadline <= now) due.onDue()
      else next = Math.min(next ?? due.deadline, due.deadline)
    }
    if (next !== undefined && this.#all.size > 0) this.#setTimer(next)
  }
}
