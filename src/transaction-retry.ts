import { isOfPreparation } from './client/statements.js'
import { errorCode } from './disconnect.js'
import { ContentionError, DisconnectedError } from './errors.js'
import type { ReplayBudget } from './replay.js'

/** SQLSTATE: serialization_failure and deadlock_detected. A lock that was not to be had (55P03) was the caller's own limit. */
const WORTH_REPEATING = new Set(['40001', '40P01'])
const SHORTEST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 50

export interface RetryParts {
  readonly retries: number
  readonly budget: ReplayBudget
  /** Whether more is left of the last run than its error says. */
  mayHaveLeftSomething(): boolean
  onRetry(error: Error): void
  pause(ms: number): Promise<void>
  /** Uniform from 0 to 1. */
  random(): number
}

/**
 * Runs a whole transaction again where nothing of it is left: after a serialization failure or a deadlock, after a
 * disconnect that the server has rolled back, and after a statement that is not any more what it was prepared as. The pause has full jitter, so that two that collided do not again.
 */
export async function withRetries<Result>(
  run: () => Promise<Result>,
  { budget, mayHaveLeftSomething, onRetry, pause, random, retries }: RetryParts
): Promise<Result> {
  for (let retry = 0; ; retry += 1) {
    try {
      return await run()
    } catch (error) {
      if (retry >= retries || !isRepeatable(error) || mayHaveLeftSomething()) throw error
      if (!budget.take()) throw error
      onRetry(error)
    }
    await pause(SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS))
  }
}

function isRepeatable(error: unknown): error is Error {
  if (error instanceof DisconnectedError || isOfPreparation(error)) return true
  return error instanceof ContentionError && WORTH_REPEATING.has(errorCode(error.cause) ?? '')
}

/** @throws {TypeError} not a whole number, 0 or more */
export function assertRetries(retries: unknown): asserts retries is number {
  if (typeof retries === 'number' && Number.isInteger(retries) && retries >= 0) return
  throw new TypeError(`Expected retries to be a whole number, 0 or more, got ${String(retries)}`)
}
