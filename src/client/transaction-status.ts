import type { Clock } from '../clock.js'
import type { SessionClient } from './config.js'
import type { OwedCommit } from './owed-commit.js'

/** For how long what the server has said of its default counts: an administrator may change it for running sessions. */
const LEVEL_HOLDS_MS = 1000

/**
 * Which transaction a session is in: the server says so with each ReadyForQuery, and of one whose COMMIT is owed we
 * know better (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
export class TransactionStatus {
  readonly #raw: SessionClient
  readonly #owed: OwedCommit
  readonly #clock: Pick<Clock, 'now'>
  #defaultLevel: string | undefined
  #learnedAt = 0

  constructor(raw: SessionClient, owed: OwedCommit, clock: Pick<Clock, 'now'>) {
    this.#raw = raw
    this.#owed = owed
    this.#clock = clock
  }

  /** As ReadyForQuery has it: idle, in a transaction, or in a failed one; `null` before the first of them. */
  get value(): 'I' | 'T' | 'E' | null {
    return this.#owed.isEnding ? 'I' : this.#raw.getTransactionStatus()
  }

  get isOpen(): boolean {
    const { value } = this
    return value === 'T' || value === 'E'
  }

  /** Its COMMIT is under way, or to be sent. */
  get isEnding(): boolean {
    return this.#owed.isEnding
  }

  /** The isolation level of a BEGIN that names none has to be asked for, with the BEGIN. */
  get isLevelDue(): boolean {
    return this.#defaultLevel === undefined || this.#clock.now() - this.#learnedAt > LEVEL_HOLDS_MS
  }

  /** The server has said which level that is, in its own words: `read committed`. */
  learn(level: string | undefined): void {
    this.#defaultLevel = level
    this.#learnedAt = this.#clock.now()
  }

  /** Something runs that may change it. */
  forget(): void {
    this.#defaultLevel = undefined
  }

  /** Whether it is in one of this level, or without one of its own, that cannot fail any more if it has only read. */
  isDecided(level: string | undefined): boolean {
    const isolation = level ?? this.#defaultLevel
    return this.value === 'T' && isolation !== undefined && isolation !== 'serializable'
  }
}
