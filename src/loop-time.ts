import type { Timer } from './clock.js'

const STEPS = 4

/**
 * Calls `fn` once this loop has been running for `ms` milliseconds: a stall of our own, however long, counts for one
 * step of several, and what came in meanwhile is read first. A limit for others must not be used up by ourselves.
 */
export function afterLoopTime(
  clock: { setTimer(ms: number, fn: () => void): Timer },
  ms: number,
  fn: () => void
): Timer {
  let steps = 0
  let isCancelled = false
  let timer: Timer
  const next = () => {
    timer = clock.setTimer(ms / STEPS, () => {
      steps += 1
      if (steps < STEPS) next()
      else void loopTurn().then(() => isCancelled || fn())
    })
  }
  next()
  return {
    cancel() {
      isCancelled = true
      timer.cancel()
    }
  }
}

/** Resolves when everything has been read that had arrived by now. */
export function loopTurn(): Promise<void> {
  return new Promise(resolve => {
    // The second one is behind a whole turn: timers run before sockets are read, immediates after it.
    setImmediate(() => setImmediate(resolve))
  })
}
