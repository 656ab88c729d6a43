/** The pool tells of both, once: the server is away or full; it takes clients again. */
export type Announcement =
  | { readonly event: 'down'; readonly error: unknown; readonly isFull: boolean }
  | { readonly event: 'up'; readonly duration: number; readonly wasFull: boolean }

/** `design.md` §10; times in milliseconds. */
const YOUNG = 2000
const YOUNG_PAUSE = { least: 25, most: 45 }
const LONGEST_PAUSE = 1334

/**
 * The world's own account of the recovery gate: whether the pool may open clients now, how many at once, and when the
 * next probe is due. It knows no waiters; who must give up because of it follows in the books.
 */
export class Gate {
  /** How many may connect at once when all is well: a quarter of the pool, and four in any case. */
  readonly fullAllowance: number
  allowance: number
  /** Since when it is closed; none while it is open. */
  closedAt: number | undefined
  /** The failed connect that spoke last found the server there, without a place for us. */
  isFull = false
  /** What the last connect failed with. */
  failure: unknown
  nextProbeAt = Number.NEGATIVE_INFINITY
  /** The one prober is connecting. */
  isProbing = false
  /** The one prober waits for its time. */
  isPausing = false
  /** The pool must settle now, by drawing a number, when it probes next. */
  isPauseDue = false
  /** What the pool must say now. */
  announcement: Announcement | undefined
  #isRecovering = false
  /** The last connect to end was cut short. */
  #isSuspicious = false
  #oldPauses = 0

  constructor(limit: number) {
    this.fullAllowance = Math.max(4, Math.ceil(Math.min(limit, 100) / 4))
    this.allowance = this.fullAllowance
  }

  get isClosed(): boolean {
    return this.closedAt !== undefined
  }

  get state(): 'up' | 'down' | 'recovering' {
    if (this.isClosed && !this.isFull) return 'down'
    return this.#isRecovering ? 'recovering' : 'up'
  }

  allows(connecting: number): boolean {
    return !this.isClosed && connecting < this.allowance
  }

  /** A connect found the server away, or full; whether that closed the gate. */
  fail(error: unknown, isFull: boolean, now: number): boolean {
    const wasOpen = this.closedAt === undefined
    if (wasOpen) {
      this.closedAt = now
      this.nextProbeAt = now
      this.#oldPauses = 0
      this.announcement = { event: 'down', error, isFull }
    }
    this.failure = error
    this.isFull = isFull
    this.allowance = 1
    this.#isRecovering = false
    this.#isSuspicious = false
    this.isPauseDue = !this.isPausing && !this.isProbing
    return wasOpen
  }

  /** A connect was ended under way: whether that is taken for one session's end, because the one before was not. */
  cutShort(): boolean {
    if (this.isClosed || this.#isSuspicious) return false
    this.#isSuspicious = true
    this.allowance = 1
    return true
  }

  /** A connect found the server there; `hasBacklog`: others wait for clients that there is room for. */
  succeed(hasBacklog: boolean, now: number): void {
    this.#isSuspicious = false
    if (this.closedAt === undefined) this.allowance += 1
    else {
      const duration = now - this.closedAt
      this.announcement = { event: 'up', duration, wasFull: this.isFull }
      this.#isRecovering = !this.isFull
      this.closedAt = undefined
      this.isPausing = false
      this.allowance = 1
    }
    if (hasBacklog && this.allowance < this.fullAllowance) return
    this.allowance = this.fullAllowance
    this.#isRecovering = false
  }

  /** The server took leave of its clients: a single connect shows whether it takes new ones. */
  suspect(): void {
    this.allowance = 1
  }

  /** The pool has drawn this number, from 0 to 1: how long the prober pauses, within what its rules leave open. */
  drawPause(draw: number, now: number): void {
    this.isPauseDue = false
    this.isPausing = true
    this.nextProbeAt = now + this.#pause(draw, now)
  }

  probe(): void {
    this.isPausing = false
    this.isProbing = true
  }

  #pause(draw: number, now: number): number {
    const { least, most } = YOUNG_PAUSE
    if (now - (this.closedAt ?? now) < YOUNG) return least + draw * (most - least)
    this.#oldPauses += 1
    const longest = Math.min(LONGEST_PAUSE, most * 2 ** this.#oldPauses)
    return longest - (longest * draw) / 4
  }
}
