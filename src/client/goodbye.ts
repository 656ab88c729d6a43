import type { Clock } from '../clock.js'
import type { SessionClient } from './config.js'

/** How long a goodbye may take before the socket is destroyed: a half-open one would never finish. */
const GOODBYE_MS = 1000

/** How a session is ended: with a goodbye, in bounded time, or by force. */
export class Goodbye {
  readonly #raw: SessionClient
  readonly #clock: Clock
  /** The socket is closed. */
  readonly closed: Promise<void>
  /** It was asked for. */
  isDue = false

  /** `onClosed` is called before {@link closed} resolves, whoever has ended it. */
  constructor(raw: SessionClient, clock: Clock, onClosed: () => void) {
    this.#raw = raw
    this.#clock = clock
    this.closed = new Promise(resolve => {
      raw.on('end', () => {
        onClosed()
        resolve()
      })
    })
  }

  say(): void {
    this.#raw.end().catch(() => this.destroy())
    this.limit()
  }

  /** It may take its time from now on, but not for ever. */
  limit(): void {
    this.#clock.setTimer(GOODBYE_MS, () => this.destroy(), { background: true })
  }

  /** Without a goodbye: on a half-open socket `end()` would wait for ever. What runs is told why. */
  destroy(reason?: unknown): void {
    this.#raw.connection.stream.destroy(reason instanceof Error ? reason : undefined)
  }
}
