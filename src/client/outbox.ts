import type { Connection } from 'pg'
import type { SessionClient } from './config.js'
import { CorkedWrites } from './corked-writes.js'
import { Exchange } from './exchange.js'
import { OwedCommit } from './owed-commit.js'

/** Anything `pg.Client.query` takes besides texts: a cursor, a query stream, COPY, our own statements. */
export interface Submission {
  submit(connection: Connection): unknown
  handleError(error: Error, connection: Connection): void
  /** Whether it may be written now though what was written before it, and allowed the same, is not answered yet. */
  mayOverlap?(connection: Connection): boolean
}

/** What a client runs. */
export interface Runnable extends Submission {
  readonly isSubmitted: boolean
  callback: (error: Error | null | undefined, result: unknown) => void
}

/** What `pg.Client` knows and does not declare: whether it would send a query at once. A test holds it against the installed `pg`. */
interface Readiness {
  _getActiveQuery?(): unknown
  readonly readyForQuery?: boolean
}

/** Also within a text of several statements. */
const COMMITS = /\bcommit\b|\bprepare\s+transaction\b|^\s*end\b/i

/**
 * Sends what is submitted in order: statements that allow it together, so that they cost one round trip, and anything
 * else when all before it is answered. `pg.Client` has a queue of its own, which is deprecated, and which cannot tell
 * what was sent from what was not; what was sent together it matches with the answers, in its pipeline mode.
 */
export class Outbox {
  readonly #raw: SessionClient
  readonly #queue: Submission[] = []
  /** How many at its beginning are to be sent before all others. */
  #preferred = 0
  readonly #onBroken: (error: unknown) => void
  readonly #writes: CorkedWrites
  /** What was written last. */
  #running: Submission | undefined
  /** Whether all that is not answered yet may be followed. */
  #isOverlapping = false
  readonly #over = new WeakSet<Submission>()
  #onceQuiet: (() => void) | undefined
  #isHeld = false
  /** Written in front of what is sent next. */
  readonly owed = new OwedCommit()
  /** Somebody else may write as well: nothing is sent ahead, or a cursor of theirs could come in between. */
  isShared = false

  /** `onBroken`: something threw while it was being written, so that nobody knows what the server has got. */
  constructor(raw: SessionClient, onBroken: (error: unknown) => void) {
    this.#raw = raw
    this.#writes = new CorkedWrites(raw)
    this.#onBroken = onBroken
  }

  /** Whether nothing runs on the client, and nothing waits to. */
  get isQuiet(): boolean {
    return this.isAnswered && !this.#isHeld && this.#queue.length === 0
  }

  send(submission: Submission): void {
    if (this.isQuiet) {
      this.#write(submission)
      return
    }
    this.#queue.push(submission)
    this.#sendAhead()
  }

  /**
   * Sends it before all that waits, but for what was to be sent first before it, when what runs is answered: to be
   * called as that is being told.
   */
  sendFirst(submission: Submission): void {
    this.#queue.splice(this.#preferred, 0, submission)
    this.#preferred += 1
  }

  /** From here on what is sent waits until {@link resume}: a cancel request is under way, and may strike it. */
  hold(): void {
    this.#isHeld = true
  }

  resume(): void {
    this.#isHeld = false
    this.sendNext()
  }

  /** Sends it, though everything else is held. */
  sendAhead(submission: Submission): void {
    this.#write(submission)
  }

  /** Takes out what was not sent yet, and refuses it; false if there was no such thing. */
  withdraw(submission: Submission, error: unknown): boolean {
    const index = this.#queue.indexOf(submission)
    if (index < 0) return false
    this.#queue.splice(index, 1)
    if (index < this.#preferred) this.#preferred -= 1
    this.refuse(submission, error)
    return true
  }

  /** Whether what runs may be a COMMIT, also if it was not sent from here; of an exchange more is known elsewhere. */
  get mayBeCommitting(): boolean {
    const running: unknown = (this.#raw as Readiness)._getActiveQuery?.()
    if (typeof running !== 'object' || running === null) return false
    return !(running instanceof Exchange) && COMMITS.test(String(Reflect.get(running, 'text')))
  }

  /** What runs undoes everything: it is not to be cancelled as well. */
  get isRollingBack(): boolean {
    return this.#running instanceof Exchange && this.#running.isRollback
  }

  isRunning(submission: Submission): boolean {
    return this.#running === submission
  }

  /** The server is ready for the next one. */
  sendNext(): void {
    if (this.isAnswered) {
      if (this.#running && !isRunnable(this.#running)) this.#over.add(this.#running)
      this.#running = undefined
      // Elsewhere than behind statements that allow it, `pg` would refuse cursors in this mode.
      if (this.#raw.pipeline) setPipeline(this.#raw, false)
      if (this.#isHeld) return
      const next = this.#takeNext()
      if (next) this.#write(next)
    } else if (!this.#raw.pipeline) {
      // Somebody else's query has got between.
      this.#isOverlapping = false
    }
    this.#sendAhead()
    if (this.isQuiet) this.#tellQuiet()
  }

  /** Whether it has been answered to its end: what `pg`'s clocks say of it later does not count. */
  isOver(submission: Submission): boolean {
    return this.#over.has(submission)
  }

  /** Nothing can be sent any more: what waits gets the error, at the next turn like from `pg`. */
  refuseAll(error: unknown): void {
    this.#preferred = 0
    for (const submission of this.#queue.splice(0)) this.refuse(submission, error)
    this.#tellQuiet()
  }

  refuse(submission: Submission, error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    process.nextTick(() => submission.handleError(reason, this.#raw.connection))
  }

  /** Calls `fn` once: when nothing runs any more, or nothing can. */
  onceQuiet(fn: () => void): void {
    this.#onceQuiet = fn
  }

  /** Sends what may go along with what is under way. */
  #sendAhead(): void {
    while (this.#isOverlapping && !this.#isHeld && !this.isShared && this.#running !== undefined) {
      const [next] = this.#queue
      if (next?.mayOverlap?.(this.#raw.connection) !== true) return
      setPipeline(this.#raw, true)
      this.#takeNext()
      this.#write(next)
    }
  }

  #takeNext(): Submission | undefined {
    if (this.#preferred > 0) this.#preferred -= 1
    return this.#queue.shift()
  }

  #write(submission: Submission): void {
    // What takes a COMMIT along may have to be sent again, before anything else.
    const mayOverlap = !this.owed.isOwed && submission.mayOverlap?.(this.#raw.connection) === true
    this.#running = submission
    this.#isOverlapping = false
    if (mayOverlap) this.#writes.gather()
    if (this.owed.isOwed && submission instanceof Exchange) submission.follow(this.owed)
    try {
      this.#raw.query(submission)
      // One that `pg` has refused still counts as running for it, and would take the answers of what follows.
      this.#isOverlapping = mayOverlap && isRunnable(submission) && submission.isSubmitted
    } catch (error) {
      this.refuse(submission, error)
      this.#onBroken(error)
    }
  }

  /** Whether the server has answered all that was sent. */
  get isAnswered(): boolean {
    const { readyForQuery } = this.#raw as Readiness
    return readyForQuery === true
  }

  #tellQuiet(): void {
    const tell = this.#onceQuiet
    this.#onceQuiet = undefined
    tell?.()
  }
}

function isRunnable(submission: Submission): submission is Runnable {
  return 'isSubmitted' in submission
}

/** Its types say that it cannot be changed; a test holds against the installed `pg` that it can. */
function setPipeline(raw: SessionClient, isOn: boolean): void {
  Reflect.set(raw, 'pipeline', isOn)
}
