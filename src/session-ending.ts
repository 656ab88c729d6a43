import { ClientGoneError, ConnectionClosedError, type EngineError } from './errors.js'

export type Why = (cause?: unknown) => EngineError

export interface EndingHost {
  /** How long what still runs may go on after the session has ended, in milliseconds. */
  readonly returnTimeout: number
  setTimer(ms: number, fn: () => void): { cancel(): void }
}

/** What an ending needs of its session. */
export interface Endable {
  readonly hasClient: boolean
  readonly isWaiting: boolean
  /** Nothing more is started, for this reason, and who waits for a client stops waiting. */
  refuse(why: Why): void
  /** Gives the client back as soon as nothing runs on it. */
  release(): void
  /** Has what runs cancelled. */
  cancel(why: Why): void
  /** Closes the client, whatever runs on it. */
  giveUp(error: unknown): void
}

/** How a session comes to its end, with its request: letting what runs go on for a while, cancelling it, or going on. */
export class SessionEnding {
  readonly #host: EndingHost
  readonly #session: Endable
  #isEnded = false
  #returnTimer: { cancel(): void } | undefined
  #lingerTimer: { cancel(): void } | undefined

  constructor(host: EndingHost, session: Endable) {
    this.#host = host
    this.#session = session
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
    const session = this.#session
    this.#isEnded = true
    this.#lingerTimer?.cancel()
    session.refuse(why)
    session.release()
    if (!session.hasClient) return
    this.#returnTimer = this.#host.setTimer(this.#host.returnTimeout, () => {
      session.giveUp(new Error('The session was still busy long after its request had ended'))
    })
  }

  /** As {@link end}, and what runs is cancelled: the HTTP client has left. */
  abort(): void {
    this.end(clientGone)
    this.#session.cancel(clientGone)
  }

  /**
   * The HTTP client has left, and what its request does may come to its end in bounded time; unless it still waits for
   * a client. Returns whether it goes on.
   */
  linger(): boolean {
    if (this.#isEnded) return false
    const session = this.#session
    if (session.isWaiting && !session.hasClient) {
      this.abort()
      return false
    }
    this.#lingerTimer ??= this.#host.setTimer(this.#host.returnTimeout, () => {
      this.end(clientGone)
      session.giveUp(new Error('The request went on long after its client had left'))
    })
    session.release()
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
