import { MAX_TIMER_MS, systemClock } from './clock.js'
import { describeValue } from './describe-value.js'
import { DeadlineError } from './errors.js'

const SECOND = 1000

export const SECONDS_EXPECTED = 'a number of seconds above 0, at most 2147483'

export function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value * SECOND <= MAX_TIMER_MS
}

export interface TimeLimit {
  readonly signal?: AbortSignal | undefined
  /** Seconds. */
  readonly timeout?: number | undefined
}

/**
 * Does work that a signal and a time limit may end; it gets the signals to obey, `outer` ones included.
 *
 * @throws {TypeError} one of them is none
 */
export async function within<Result>(
  { signal, timeout }: TimeLimit,
  outer: AbortSignal | undefined,
  work: (signals: readonly AbortSignal[] | undefined) => Promise<Result>
): Promise<Result> {
  assertSignal(signal)
  if (timeout !== undefined && !isSeconds(timeout)) {
    throw new TypeError(`Expected timeout to be ${SECONDS_EXPECTED}, got ${String(timeout)}`)
  }
  const given = [signal, outer].filter(one => one !== undefined)
  if (timeout === undefined) return work(given.length === 0 ? undefined : given)
  const late = new AbortController()
  const timer = systemClock.setTimer(timeout * SECOND, () => late.abort(new DeadlineError()))
  try {
    return await work([...given, late.signal])
  } finally {
    timer.cancel()
  }
}

/** @throws {TypeError} it is none */
export function assertSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw new TypeError(`Expected signal to be an AbortSignal, got ${typeof signal}`)
}

/**
 * The signal in what may be nothing but `{ signal }`.
 *
 * @throws {TypeError} it is something else: a signal by itself, say, which would be overlooked
 */
export function signalIn(options: {
  readonly signal?: AbortSignal | undefined
}): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null || options instanceof AbortSignal) {
    const got = options instanceof AbortSignal ? 'an AbortSignal' : describeValue(options)
    throw new TypeError(`Expected { signal }, got ${got}`)
  }
  assertSignal(options.signal)
  return options.signal
}
