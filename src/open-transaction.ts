import { onAborted } from './abort-listener.js'
import { TransactionStateError } from './errors.js'

/** The transaction that statements are part of now: begun with the first of them, in its flush. */
export class OpenTransaction {
  readonly begin: string
  readonly isReadOnly: boolean
  /** Has its statements cancelled. */
  readonly signal: AbortSignal | undefined
  /** The server has said that it is in it. */
  isBegun = false
  /** The server has refused BEGIN: nothing that was meant to be part of it may run by itself. */
  isRefused = false
  #isOver = false
  readonly #watches: (() => void)[] = []
  #running = 0
  readonly #onQuiet: (() => void)[] = []
  /** A statement is under way that carries BEGIN. */
  #isClaimed = false
  readonly #onReleased: (() => void)[] = []

  constructor(begin: string, isReadOnly: boolean, signal?: AbortSignal) {
    this.begin = begin
    this.isReadOnly = isReadOnly
    this.signal = signal
  }

  /** Calls `fn` if it is aborted before it is over. */
  onAborted(fn: (reason: unknown) => void): void {
    const { signal } = this
    if (signal) this.#watches.push(onAborted(signal, () => fn(signal.reason)))
  }

  /** Its function has settled. */
  end(): void {
    this.#isOver = true
    for (const unwatch of this.#watches) unwatch()
  }

  /** Runs work that is to carry BEGIN if it is the first, and after whatever begins it if it is not. */
  async inTurn<Result>(
    work: (carried: OpenTransaction | undefined) => Promise<Result>
  ): Promise<Result> {
    this.enter()
    try {
      // Only for whoever is under way: behind a wait nobody can tell any more who has taken the client.
      while (!this.isBegun && this.#isClaimed) {
        await new Promise<void>(resolve => this.#onReleased.push(resolve))
      }
      if (!this.#claims()) return await work(undefined)
      try {
        return await work(this)
      } finally {
        this.#release()
      }
    } finally {
      this.leave()
    }
  }

  /** BEGIN was answered. To be told with the answer: the session may be lost with the next message. */
  answered(isInTransaction: boolean): void {
    this.isBegun = isInTransaction
    this.isRefused = !isInTransaction
  }

  /**
   * Whether the caller's statement is to carry BEGIN. Those started behind it wait until it is through, also when it
   * must be repeated: if BEGIN failed, they would be committed one by one. Whoever is told yes must release.
   */
  #claims(): boolean {
    if (this.isRefused)
      throw new TransactionStateError('The server refused to begin the transaction')
    if (this.isBegun || this.#isOver) return false
    this.#isClaimed = true
    return true
  }

  #release(): void {
    this.#isClaimed = false
    for (const tell of this.#onReleased.splice(0)) tell()
  }

  /** A statement of it is under way until {@link leave}: also one that nobody waits for. */
  enter(): void {
    this.#running += 1
  }

  leave(): void {
    this.#running -= 1
    if (this.#running > 0) return
    for (const tell of this.#onQuiet.splice(0)) tell()
  }

  get isQuiet(): boolean {
    return this.#running === 0
  }

  /** What ends the transaction comes behind all of it. */
  async whenQuiet(): Promise<void> {
    if (this.isQuiet) return
    await new Promise<void>(resolve => this.#onQuiet.push(resolve))
  }
}
