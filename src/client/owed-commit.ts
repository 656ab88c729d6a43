import { ControlPart } from './parts.js'

/**
 * The COMMIT of a transaction that has only read. Nothing depends on its answer, so it goes with what is written next,
 * under the same Sync, and costs no round trip of its own. From the moment it is owed the transaction is over for us,
 * though the server says otherwise until it has answered.
 */
export class OwedCommit {
  #state: 'none' | 'owed' | 'written' = 'none'

  /** It was not written yet. */
  get isOwed(): boolean {
    return this.#state === 'owed'
  }

  /** The status that the server gave last is that of the transaction it ends. */
  get isEnding(): boolean {
    return this.#state !== 'none'
  }

  /** To be called when all that was written is answered: the next answer is about this. */
  owe(): void {
    this.#state = 'owed'
  }

  /** What is to be written in front of everything else; nothing if that was done, or is not needed. */
  take(): ControlPart | undefined {
    if (this.#state !== 'owed') return undefined
    this.#state = 'written'
    return new ControlPart('COMMIT')
  }

  /** ReadyForQuery came. To be called before anybody asks what transaction the session is in now. */
  answered(): void {
    if (this.#state === 'written') this.#state = 'none'
  }
}
