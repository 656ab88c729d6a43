import { classify } from '../disconnect.js'
import { CancelError } from '../session-errors.js'
import type { Runnable } from './outbox.js'

/** What the settling of answers needs of the session. */
export interface AnswersParts {
  /** Why the session is gone, once it is. */
  readonly lost: () => unknown
  lose(error: unknown): void
  /** The next one may be sent though no ReadyForQuery comes. */
  sendNext(): void
}

/**
 * Settles what runs when the server is ready for the next, or never will be. At ErrorResponse it is not: the transaction
 * status is old.
 */
export class Answers {
  readonly #parts: AnswersParts
  /** Rejects what was answered with an error; due when the server is ready again. */
  #pendingFailure: (() => void) | undefined

  constructor(parts: AnswersParts) {
    this.#parts = parts
  }

  /** Of a query that is sent next. If the server has answered, `onAnswered` hears of it before another one is sent. */
  of<Result>(query: Runnable, onAnswered?: (error?: Error) => void): Promise<Result> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        if (query.isSubmitted && this.#parts.lost() === undefined) onAnswered?.(error)
        reject(error)
      }
      const settle = (error: Error | null | undefined, result: unknown) => {
        if (error) {
          this.#onFailure(query, error, fail)
          return
        }
        onAnswered?.()
        resolve(result as Result)
      }
      // V8 makes a function that is written in an assignment to a property in the old generation, where it would keep
      // all that the request has used until the next full collection.
      query.callback = settle
    })
  }

  /** The server is ready, or gone: what failed is told so. */
  settleFailure(): void {
    const settle = this.#pendingFailure
    this.#pendingFailure = undefined
    settle?.()
  }

  #onFailure(query: Runnable, error: Error, reject: (error: Error) => void): void {
    const { lose, lost, sendNext } = this.#parts
    if (!query.isSubmitted) {
      reject(error)
      // No ReadyForQuery will come for what was not sent, and `pg` is ready only after this turn.
      process.nextTick(sendNext)
      return
    }
    if (lost() !== undefined || classify(error, 'statement').failure === 'disconnect') {
      lose(error)
      // `pg` says no more than that the socket is closed.
      const reason = lost()
      reject(reason instanceof CancelError ? reason : error)
      return
    }
    this.#pendingFailure = () => reject(error)
  }
}
