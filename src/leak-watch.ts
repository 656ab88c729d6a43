import type { Clock } from './clock.js'
import type { EngineLogger } from './logger.js'

/** Warns of a client that is held for long, and says who took it: HikariCP's leak detection. */
export class LeakWatch {
  readonly #timeout: number
  readonly #clock: Clock
  readonly #log: EngineLogger

  /** `timeout`: `leak_timeout`, in milliseconds; 0 = off. */
  constructor(timeout: number, clock: Clock, log: EngineLogger) {
    this.#timeout = timeout
    this.#clock = clock
    this.#log = log
  }

  /** A client is being taken, by whoever calls; to be stopped when it is given back. */
  watch(): (() => void) | undefined {
    if (this.#timeout === 0) return undefined
    const stack = stackOfBorrower()
    let isReported = false
    const heldMs = this.#timeout
    const report = () => {
      isReported = true
      this.#log.warn({ heldMs, borrower: stack }, 'a database connection is held for long')
    }
    const timer = this.#clock.setTimer(heldMs, report, { background: true })
    return () => {
      timer.cancel()
      if (isReported) this.#log.info({}, 'the database connection held for long was given back')
    }
  }
}

/** More than the calls of our own between the borrower and here; V8 keeps ten by default. */
const FRAMES = 50

function stackOfBorrower(): string | undefined {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = FRAMES
  const { stack } = new Error('Taken here')
  Error.stackTraceLimit = stackTraceLimit
  return stack
}
