import { Exchange } from './exchange.js'
import type { OwedCommit } from './owed-commit.js'
import type { ControlPart } from './parts.js'
import type { TransactionStatus } from './transaction-status.js'

/** What it takes to end a session's transaction. */
export interface LateCommitParts {
  readonly status: TransactionStatus
  readonly owed: OwedCommit
  /** Nothing runs on the session, and nobody sends anything past us. */
  isQuiet(): boolean
  isLost(): boolean
  run(exchange: Exchange): Promise<unknown>
}

/** Ends transactions that have only read without waiting for the answer to their COMMIT. */
export class LateCommit {
  readonly #parts: LateCommitParts

  constructor(parts: LateCommitParts) {
    this.#parts = parts
  }

  /**
   * Leaves the transaction, which has only read, to be ended by `commit`; at this isolation level, or without one of its
   * own. It goes with what is sent next, or by itself as soon as others have their turn: the application, if it goes on
   * without waiting for anything, keeps it open. Returns whether that may be.
   */
  begin(level: string | undefined, commit: readonly ControlPart[]): boolean {
    const { isLost, isQuiet, owed, status } = this.#parts
    if (isLost() || !isQuiet() || !status.isDecided(level)) return false
    owed.owe(commit)
    process.nextTick(() => this.send())
    return true
  }

  /** Sends it by itself, if it was not sent yet. Never rejects: that it failed shows in what comes next. */
  send(): Promise<void> | undefined {
    const { isLost, owed, run } = this.#parts
    if (isLost() || !owed.isOwed) return undefined
    return run(new Exchange([], () => {})).then(
      () => {},
      () => {}
    )
  }
}
