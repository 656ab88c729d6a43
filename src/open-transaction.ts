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
  /** Something was part of it of which nobody sees what it does: it may have been committed on the way. */
  isUnseen = false
  #hasOnlyRead = true
  #isOver = false
  readonly #watches: (() => void)[] = []
  #running = 0
  readonly #onQuiet: (() => void)[] = []
  /** A statement carries BEGIN, or begins: whoever comes now waits, or would overtake those who wait already. */
  #isEntering = false
  readonly #onTurn: (() => void)[] = []

  constructor(begin: string, isReadOnly: boolean, signal?: AbortSignal) {
    this.begin = begin
    this.isReadOnly = isReadOnly
    this.signal = signal
  }

  /** Nothing has become part of it but plain reads. */
  get hasOnlyRead(): boolean {
    return this.#hasOnlyRead
  }

  /** The isolation level that was asked for, as the server writes it: `read committed`. */
  get level(): string | undefined {
    if (this.begin === 'BEGIN') return undefined
    return /ISOLATION LEVEL ([A-Z ]+)/.exec(this.begin)?.[1]?.toLowerCase()
  }

  /** Something else than a plain read becomes part of it, or may. */
  mayHaveWritten(): void {
    this.#hasOnlyRead = false
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
      if (this.#isEntering) await new Promise<void>(resolve => this.#onTurn.push(resolve))
      this.#isEntering = true
      let done: Promise<Result>
      try {
        this.assertNotOver()
        // Those started behind it wait until it is through, also when it must be repeated: if BEGIN failed, they would be
        // committed one by one.
        if (this.#isToCarry()) return await work(this)
        done = work(undefined)
      } finally {
        this.#passOn()
      }
      return await done
    } finally {
      this.leave()
    }
  }

  /**
   * To be asked before anything of it is written.
   *
   * @throws {TransactionStateError} it would be part of nothing, or of whatever came after
   */
  assertNotOver(): void {
    if (this.#isOver) throw new TransactionStateError('The transaction has ended already')
  }

  /** BEGIN was answered. To be told with the answer: the session may be lost with the next message. */
  answered(isInTransaction: boolean): void {
    this.isBegun = isInTransaction
    this.isRefused = !isInTransaction
  }

  /** @throws {TransactionStateError} BEGIN was refused */
  #isToCarry(): boolean {
    if (this.isRefused)
      throw new TransactionStateError('The server refused to begin the transaction')
    return !this.isBegun
  }

  #passOn(): void {
    const next = this.#onTurn.shift()
    if (next === undefined) this.#isEntering = false
    else next()
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
