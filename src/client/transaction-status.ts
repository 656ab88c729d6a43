import type { SessionClient } from './config.js'
import type { OwedCommit } from './owed-commit.js'

/**
 * Which transaction a session is in: the server says so with each ReadyForQuery, and of one whose COMMIT is owed we
 * know better (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
export class TransactionStatus {
  readonly #raw: SessionClient
  readonly #owed: OwedCommit
  /** The level of a BEGIN that names none: not known until it was asked for, nor after what may have changed it. */
  defaultIsolation: string | undefined

  constructor(raw: SessionClient, owed: OwedCommit) {
    this.#raw = raw
    this.#owed = owed
  }

  /** As ReadyForQuery has it: idle, in a transaction, or in a failed one; `null` before the first of them. */
  get value(): 'I' | 'T' | 'E' | null {
    return this.#owed.isEnding ? 'I' : this.#raw.getTransactionStatus()
  }

  get isOpen(): boolean {
    const { value } = this
    return value === 'T' || value === 'E'
  }

  /** Whether it is in one of this level, or without one of its own, that cannot fail any more if it has only read. */
  isDecided(level: string | undefined): boolean {
    const isolation = level ?? this.defaultIsolation
    return this.value === 'T' && isolation !== undefined && isolation !== 'serializable'
  }
}
