import type { SessionClient } from './config.js'

/** Gathers what is written within one turn of the event loop, so that it leaves in one packet. */
export class CorkedWrites {
  readonly #raw: SessionClient
  #isCorked = false

  constructor(raw: SessionClient) {
    this.#raw = raw
  }

  gather(): void {
    if (this.#isCorked) return
    const { stream } = this.#raw.connection
    this.#isCorked = true
    stream.cork()
    process.nextTick(() => {
      this.#isCorked = false
      stream.uncork()
    })
  }
}
