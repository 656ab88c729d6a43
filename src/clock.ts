/** A timer that was set and can still be called off. */
export interface Timer {
  cancel(): void
}

/**
 * Time as an argument, so that every rule about deadlines and ages is tested without waiting.
 * Monotonic: a clock that is set back or forth must never recycle, revive or expire a client.
 */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number
  /**
   * Runs `fn` once, `ms` milliseconds from now. `background` timers do not keep the process alive:
   * housekeeping must not stop a program from ending.
   */
  setTimer(ms: number, fn: () => void, options?: { background?: boolean }): Timer
}

/** Longest delay a Node.js timer takes; one millisecond more and it would fire at once. */
export const MAX_TIMER_MS = 2_147_483_647

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(ms, fn, options) {
    const handle = setTimeout(fn, Math.min(Math.max(ms, 0), MAX_TIMER_MS))
    if (options?.background) handle.unref()
    return { cancel: () => clearTimeout(handle) }
  }
}
