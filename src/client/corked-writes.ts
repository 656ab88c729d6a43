import type { SessionClient } from './config.js'

/**
 * Gathers what is written before others have their turn, so that it leaves in one packet. Not for as long as a turn of the
 * event loop: then all sessions would send at once and wait at once, and the time of the network would be added to ours.
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
    process.nextTick(this.#flush)
  }
}
