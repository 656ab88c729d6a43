import { errorCode } from './disconnect.js'
import { DeadlineError, EngineError } from './errors.js'
import { Failure, OF_STATEMENT } from './failure.js'
import type { Why } from './session-ending.js'
import { CancelError } from './session-errors.js'

/** Clock reading after which nobody needs the work any more; it may cease to hold. */
export type Deadline = () => number | undefined

/** Milliseconds. */
export interface StopClock {
  now(): number
  setTimer(ms: number, fn: () => void): { cancel(): void }
}

/** What the server says of a statement that it was asked to cancel, or that took longer than it was allowed to. */
const QUERY_CANCELED = '57014'

/** Whether a session may start anything more, and if not, why: it was ended, its HTTP client has left, its time is up. */
export class StopSign {
  readonly #clock: StopClock
  readonly #deadline: Deadline | undefined
  /** Made anew for each that wants to know. */
  #why: Why | undefined
  #timer: { cancel(): void } | undefined

  constructor(clock: StopClock, deadline?: Deadline) {
    this.#clock = clock
    this.#deadline = deadline
  }

  get isSet(): boolean {
    return this.#why !== undefined || this.#isLate
  }

  get deadline(): number | undefined {
    return this.#deadline?.()
  }

  /** Whole milliseconds for the server, whose clock is not to strike before ours; none without a deadline. */
  get timeLeft(): number | undefined {
    const { deadline } = this
    if (deadline === undefined) return undefined
    return Math.max(0, Math.ceil(deadline - this.#clock.now())) + 1
  }

  /** The first reason stays. */
  set(why: Why): void {
    this.#why ??= why
  }

  /** @throws {EngineError} why not */
  assertNotSet(): void {
    if (this.#why) throw this.#why()
    if (this.#isLate) throw new DeadlineError()
  }

  /** Tells when the time is up, as long as it is watched. */
  watch(onLate: (why: Why) => void): void {
    const { deadline } = this
    if (deadline === undefined || this.#timer !== undefined) return
    this.#timer = this.#clock.setTimer(deadline - this.#clock.now(), () => {
      if (this.deadline !== undefined) onLate(cause => new DeadlineError({ cause }))
    })
  }

  unwatch(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  /**
   * What is to be thrown for an error that is but what came of our having cancelled; nothing for any other. Reasons of
   * ours are explained like other failures, the caller's own are passed on as they are.
   */
  reasonFor(
    error: unknown,
    signals: readonly AbortSignal[] | undefined
  ): { thrown: unknown } | undefined {
    const isCanceled = errorCode(error) === QUERY_CANCELED || error instanceof CancelError
    const signal = signals?.find(({ aborted }) => aborted)
    if (signal && (isCanceled || error === signal.reason)) return thrown(signal.reason)
    if (!isCanceled) return undefined
    if (this.#why) return thrown(this.#why(error))
    return this.#isLate ? thrown(new DeadlineError({ cause: error })) : undefined
  }

  get #isLate(): boolean {
    const { deadline } = this
    return deadline !== undefined && this.#clock.now() >= deadline
  }
}

/** What is to be thrown, and explained, for a reason. */
export function toThrow(reason: unknown): unknown {
  return reason instanceof EngineError ? new Failure(reason, OF_STATEMENT, 'statement') : reason
}

function thrown(reason: unknown): { thrown: unknown } {
  return { thrown: toThrow(reason) }
}
