import type { Clock } from '../clock.js'
import { CancelError } from '../session-errors.js'
import type { Outbox, Submission } from './outbox.js'

/** How long it may take until a session whose statement is cancelled is fit again: to replace it takes less. */
const INTERRUPT_MS = 5000
/** A server that is there has passed a cancel request on by then; who waits for it is late already. */
const CANCEL_MS = 1000
/** A cancel request that comes before its statement is ignored: it is repeated, after this, and then twice as long. */
const FIRST_PATIENCE_MS = 50

export interface InterrupterParts {
  readonly clock: Clock
  readonly outbox: Outbox
  /** Resolves when the server has closed the request's socket; see {@link sendCancel}. */
  cancel(timeout: number): Promise<void>
  /** A round trip though the outbox is held: behind it nothing that was asked for before can strike. */
  sync(timeout: number): Promise<void>
  isLost(): boolean
  /** It was not reached in time: nobody knows what else would be cancelled. */
  onFailed(error: unknown): void
}

/**
 * Has the server cancel what a session runs. A cancel request names a session, not a statement, so that nothing is sent
 * from before the first request until the last one's socket was closed, the server was ready, and has answered a Sync.
 */
export class Interrupter {
  readonly #parts: InterrupterParts
  #isActive = false
  #tellAnswered: (() => void) | undefined

  constructor(parts: InterrupterParts) {
    this.#parts = parts
  }

  /** Cancels the query, or, without one, all that runs and waits; what was not sent yet is refused for this reason. */
  interrupt(reason: unknown, query: Submission | undefined): void {
    const { outbox } = this.#parts
    if (query === undefined) outbox.refuseAll(reason)
    else if (outbox.withdraw(query, reason) || !outbox.isRunning(query)) return
    if (this.#isActive || !this.#isBusy || outbox.isRollingBack) return
    this.#isActive = true
    outbox.hold()
    this.#untilFit()
      .catch(error => this.#parts.onFailed(error))
      .finally(() => {
        this.#isActive = false
        outbox.resume()
      })
  }

  /** The server is ready again, or the session lost. */
  answered(): void {
    this.#tellAnswered?.()
  }

  get #isBusy(): boolean {
    return !this.#parts.isLost() && !this.#parts.outbox.isAnswered
  }

  async #untilFit(): Promise<void> {
    const { cancel, clock, isLost, sync } = this.#parts
    const deadline = clock.now() + INTERRUPT_MS
    const left = () => Math.max(0, deadline - clock.now())
    let patience = FIRST_PATIENCE_MS
    while (this.#isBusy) {
      if (left() === 0) throw new CancelError(new Error(`Still busy after ${INTERRUPT_MS} ms`))
      await cancel(Math.min(CANCEL_MS, left()))
      await this.#whenAnswered(Math.min(patience, left()))
      patience *= 2
    }
    if (!isLost()) await sync(left())
  }

  async #whenAnswered(timeout: number): Promise<void> {
    if (!this.#isBusy) return
    await new Promise<void>(resolve => {
      const timer = this.#parts.clock.setTimer(timeout, resolve)
      this.#tellAnswered = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#tellAnswered = undefined
  }
}
