import type { SessionClient } from './config.js'

/** The one that was there first: a test of the application's that fakes time must not keep its statements. */
const whenTurnIsOver = setImmediate

/**
 * Gathers what is written within one turn of the event loop. It leaves when the turn is over: in one packet for each
 * session, and behind all that was read meanwhile. Each packet wakes a backend up, which on a busy machine takes its
 * processor from whoever is about to write the next one.
 */
export class CorkedWrites {
  readonly #raw: SessionClient
  #isCorked = false
  readonly #flush = (): void => {
    this.#isCorked = false
    this.#raw.connection.stream.uncork()
  }

  constructor(raw: SessionClient) {
    this.#raw = raw
  }

  gather(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#raw.connection.stream.cork()
    whenTurnIsOver(this.#flush)
  }
}
