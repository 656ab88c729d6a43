import type { Connection } from 'pg'
import type { SessionClient } from './config.js'

/** Anything `pg.Client.query` takes besides texts: a cursor, a query stream, COPY, our own statements. */
export interface Submission {
  submit(connection: Connection): unknown
  handleError(error: Error, connection: Connection): void
}

/** What a client runs. */
export interface Runnable extends Submission {
  readonly isSubmitted: boolean
  callback: (error: Error | null | undefined, result: unknown) => void
}

/** What `pg.Client` knows and does not declare: whether it would send a query at once. A test holds it against the installed `pg`. */
interface Readiness {
  readonly readyForQuery?: boolean
}

/**
 * Sends what is submitted one after the other. `pg.Client` has a queue of its own, which is deprecated, and which
 * cannot tell what was sent from what was not.
 */
export class Outbox {
  readonly #raw: SessionClient
  readonly #queue: Submission[] = []
  readonly #onBroken: (error: unknown) => void
  #running: Submission | undefined
  readonly #over = new WeakSet<Submission>()
  #onceQuiet: (() => void) | undefined

  /** `onBroken`: something threw while it was being written, so that nobody knows what the server has got. */
  constructor(raw: SessionClient, onBroken: (error: unknown) => void) {
    this.#raw = raw
    this.#onBroken = onBroken
  }

  /** Whether nothing runs on the client, and nothing waits to. */
  get isQuiet(): boolean {
    return this.#isReady && this.#queue.length === 0
  }

  send(submission: Submission): void {
    if (this.isQuiet) this.#write(submission)
    else this.#queue.push(submission)
  }

  /** The server is ready for the next one. */
  sendNext(): void {
    if (!this.#isReady) return
    if (this.#running) this.#over.add(this.#running)
    this.#running = undefined
    const next = this.#queue.shift()
    if (next) this.#write(next)
    if (this.isQuiet) this.#tellQuiet()
  }

  /** Whether it has been answered to its end: what `pg`'s clocks say of it later does not count. */
  isOver(submission: Submission): boolean {
    return this.#over.has(submission)
  }

  /** Nothing can be sent any more: what waits gets the error, at the next turn like from `pg`. */
  refuseAll(error: unknown): void {
    for (const submission of this.#queue.splice(0)) this.refuse(submission, error)
    this.#tellQuiet()
  }

  refuse(submission: Submission, error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    process.nextTick(() => submission.handleError(reason, this.#raw.connection))
  }

  /** Calls `fn` once: when nothing runs any more, or nothing can. */
  onceQuiet(fn: () => void): void {
    this.#onceQuiet = fn
  }

  #write(submission: Submission): void {
    this.#running = submission
    try {
      this.#raw.query(submission)
    } catch (error) {
      this.refuse(submission, error)
      this.#onBroken(error)
    }
  }

  get #isReady(): boolean {
    const { readyForQuery } = this.#raw as Readiness
    return readyForQuery === true
  }

  #tellQuiet(): void {
    const tell = this.#onceQuiet
    this.#onceQuiet = undefined
    tell?.()
  }
}
