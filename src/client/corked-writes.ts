import type { SessionClient } from './config.js'

/** Gathers what is written within one turn of the event loop, so that it leaves in one packet. */
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
