import type { ControlPart } from './parts.js'

/**
 * The COMMIT of a transaction that has only read. Nothing depends on its answer, so nobody waits for it: it goes with what
 * is written next, under the same Sync, or by itself. From the moment it is owed the transaction is over for us, though
 * the server says otherwise until it has answered.
 */
export class OwedCommit {
  #owed: readonly ControlPart[] | undefined
  #isWritten = false

  /** It was not written yet. */
  get isOwed(): boolean {
    return this.#owed !== undefined
  }

  /** The status that the server gave last is that of the transaction it ends. */
  get isEnding(): boolean {
    return this.#isWritten || this.isOwed
  }

  /** To be called when all that was written is answered: the next answer is about this. */
  owe(parts: readonly ControlPart[]): void {
    this.#owed = parts
  }

  /** What is to be written in front of everything else; nothing if that was done, or is not needed. */
  take(): readonly ControlPart[] {
    const parts = this.#owed
    if (parts === undefined) return []
    this.#owed = undefined
    this.#isWritten = true
    return parts
  }

  /** ReadyForQuery came. To be called before anybody asks what transaction the session is in now. */
  answered(): void {
    this.#isWritten = false
  }
}
