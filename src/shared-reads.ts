import type { QueryResult } from 'pg'
import type { Clock, Timer } from './clock.js'
import type { Connection } from './connection.js'
import { EngineError } from './errors.js'
import { afterLoopTime } from './loop-time.js'
import type { StatementConfig } from './queryable.js'
import { statementKind } from './statement-kind.js'
import { isSubmittable } from './submittable.js'

/** Reads on one client that may wait for each other's answers. */
const MAX_TOGETHER = 32
/** How long others may join, in milliseconds: so no read is sent behind a statement that is older. */
const JOINABLE_MS = 10
/** After this, in milliseconds, a read that still waits for another's answer is run elsewhere. */
const PATIENCE_MS = 50

export interface SharedReadsParts {
  /** A connection that gives its client back when it is released, and takes another one then. */
  readonly open: () => Connection
  readonly clock: Clock
}

/**
 * Sends plain reads of several callers on one client, so that they share its round trips and what a write to a socket
 * costs. Each has its own result, its own error, and its own replay.
 *
 * A read behind one that waits for a lock could wait for ever: for a transaction that its own caller is to end, which no
 * server sees for a deadlock. So none is sent behind an old one, and one that has waited is run elsewhere as well.
 */
export class SharedReads {
  readonly #parts: SharedReadsParts
  #lane: Lane | undefined

  constructor(parts: SharedReadsParts) {
    this.#parts = parts
  }

  /** Whether a statement may be among others: it has no effect, and nobody wants to cancel it by itself. */
  static mayShare(config: StatementConfig): boolean {
    const { name, readOnly, signal, text, timeout } = config
    // By its name it may be on this client another statement than on the next.
    if (isSubmittable(config) || name !== undefined || readOnly !== undefined) return false
    if (signal !== undefined || timeout !== undefined) return false
    return typeof text === 'string' && statementKind(text).kind === 'read'
  }

  /** @throws as {@link Connection.query} */
  async run(config: StatementConfig, values: unknown[] | undefined): Promise<QueryResult> {
    try {
      return await this.#joinable().run(config, values)
    } catch (error) {
      // Its stack is to lead to whoever ran the statement, past the promises between.
      if (error instanceof Error) Error.captureStackTrace(error)
      throw error
    }
  }

  #joinable(): Lane {
    const now = this.#parts.clock.now()
    if (this.#lane?.isJoinable(now)) return this.#lane
    this.#lane = new Lane(this.#parts, now)
    return this.#lane
  }
}

interface Read {
  readonly config: StatementConfig
  readonly values: unknown[] | undefined
  readonly resolve: (result: QueryResult) => void
  readonly reject: (error: unknown) => void
  /** Where it is also under way: what fails here is not decisive then. */
  elsewhere: Connection | undefined
}

/** The reads that wait for one client's answers. */
class Lane {
  readonly #parts: SharedReadsParts
  readonly #connection: Connection
  /** Clock reading at which the first of them was started. */
  #since: number
  /** In the order in which they were sent: the first is the one that the server is at. */
  readonly #reads = new Set<Read>()
  #timer: Timer | undefined

  constructor(parts: SharedReadsParts, now: number) {
    this.#parts = parts
    this.#connection = parts.open()
    this.#since = now
  }

  isJoinable(now: number): boolean {
    if (this.#reads.size === 0) {
      this.#since = now
      return true
    }
    // Who waits for a client waits by itself: its turn, and a failed connect, are its own.
    if (this.#connection.held === undefined) return false
    return this.#reads.size < MAX_TOGETHER && now - this.#since < JOINABLE_MS
  }

  run(config: StatementConfig, values: unknown[] | undefined): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const read: Read = { config, values, resolve, reject, elsewhere: undefined }
      this.#reads.add(read)
      if (this.#reads.size > 1) this.#watch()
      this.#connection.query(config, values).then(
        result => {
          this.#leave(read)
          // If it still waits for a client there, nobody needs that any more.
          read.elsewhere?.end()
          resolve(result)
        },
        error => {
          this.#leave(read)
          if (read.elsewhere === undefined) reject(error)
          read.elsewhere = undefined
        }
      )
    })
  }

  #leave(read: Read): void {
    this.#reads.delete(read)
    if (this.#reads.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    this.#connection.release()
  }

  #watch(): void {
    this.#timer ??= afterLoopTime(this.#parts.clock, PATIENCE_MS, () => {
      this.#timer = undefined
      const [, ...waiting] = this.#reads
      for (const read of waiting) this.#runElsewhere(read)
    })
  }

  /** The server's first answer counts. That there was no client for it does only when no answer is to come any more. */
  #runElsewhere(read: Read): void {
    const connection = this.#parts.open()
    read.elsewhere = connection
    connection.query(read.config, read.values).then(
      result => {
        connection.end()
        read.resolve(result)
      },
      error => {
        connection.end()
        if (read.elsewhere === undefined || !(error instanceof EngineError)) read.reject(error)
        read.elsewhere = undefined
      }
    )
  }
}
