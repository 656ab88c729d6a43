import { EngineError, PendingRollbackError } from './errors.js'

/** Whether a session's transaction was lost with its client, and nobody has rolled it back yet. */
export class LostTransaction {
  #isPending = false
  #untold: EngineError | undefined

  get isPending(): boolean {
    return this.#isPending
  }

  set isPending(isPending: boolean) {
    this.#isPending = isPending
    if (!isPending) this.#untold = undefined
  }

  /** @throws {PendingRollbackError} what was lost must be rolled back before anything else runs */
  assertNone(): void {
    if (this.#isPending) throw new PendingRollbackError({ outcome: 'rolled_back' })
  }

  /** As {@link assertNone}, before anything is begun; a loss that nobody has been told of is told, once. */
  tell(): void {
    const untold = this.#untold
    this.#untold = undefined
    if (untold !== undefined) throw untold
    this.assertNone()
  }

  /** It was lost in the middle of something else, which is told instead. */
  keepUntold(error: unknown): void {
    if (this.#isPending && error instanceof EngineError) this.#untold = error
  }
}
