import { ClientGoneError, ConnectionClosedError, type EngineError } from './errors.js'

export type Why = (cause?: unknown) => EngineError

/** What an ending needs of its session. */
export interface EndingParts {
  /** How long what still runs may go on, in milliseconds. */
  readonly returnTimeout: number
  setTimer(ms: number, fn: () => void): { cancel(): void }
  readonly hasClient: () => boolean
  readonly isWaiting: () => boolean
  /** Nothing more is started, for this reason, and who waits for a client stops waiting. */
  stop(why: Why): void
  /** Gives the client back as soon as nothing runs on it. */
  release(): void
  /** Has what runs cancelled. */
  cancel(why: Why): void
  /** Closes the client, whatever runs on it. */
  giveUp(error: Error): void
}

/** How a session comes to its end, with its request: letting what runs go on for a while, cancelling it, or going on. */
export class SessionEnding {
  readonly #parts: EndingParts
  #isEnded = false
  #returnTimer: { cancel(): void } | undefined
  #lingerTimer: { cancel(): void } | undefined

  constructor(parts: EndingParts) {
    this.#parts = parts
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** The HTTP client has left, and the request goes on. */
  get isLingering(): boolean {
    return this.#lingerTimer !== undefined
  }

  /** What runs may come to its end, in bounded time; nothing more is started. */
  end(why: Why = connectionClosed): void {
    if (this.#isEnded) return
    const { giveUp, hasClient, release, returnTimeout, setTimer, stop } = this.#parts
    this.#isEnded = true
    this.#lingerTimer?.cancel()
    stop(why)
    release()
    if (!hasClient()) return
    this.#returnTimer = setTimer(returnTimeout, () => {
      giveUp(new Error('The session was still busy long after its request had ended'))
    })
  }

  /** As {@link end}, and what runs is cancelled: the HTTP client has left. */
  abort(): void {
    this.end(clientGone)
    this.#parts.cancel(clientGone)
  }

  /**
   * The HTTP client has left, and what its request does may come to its end in bounded time; unless it still waits for
   * a client. Returns whether it goes on.
   */
  linger(): boolean {
    if (this.#isEnded) return false
    const { hasClient, isWaiting, giveUp, release, returnTimeout, setTimer } = this.#parts
    if (isWaiting() && !hasClient()) {
      this.abort()
      return false
    }
    this.#lingerTimer ??= setTimer(returnTimeout, () => {
      this.end(clientGone)
      giveUp(new Error('The request went on long after its client had left'))
    })
    release()
    return true
  }

  /** The client is gone. */
  onReturned(): void {
    this.#returnTimer?.cancel()
  }
}

function clientGone(cause?: unknown): EngineError {
  return new ClientGoneError({ cause })
}

function connectionClosed(cause?: unknown): EngineError {
  return new ConnectionClosedError({ cause })
}
