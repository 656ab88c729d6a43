import type { Clock, Timer } from '../clock.js'

/** What the recovery gate works with. */
export interface RecoveryParts {
  readonly clock: Clock
  /** Uniform from 0 to 1, 1 excluded. */
  readonly random: () => number
  /** Clients that the pool may have at most. */
  readonly limit: number
  /**
   * Opens one client, to see whether the server is back; what becomes of it is told like of every other. There is
   * room for it: the connect that failed has left its place, and nobody else opens one while the gate is closed.
   *
   * @returns what `ended` will be told of it
   */
  probe(): object
  /** The gate was closed: the server is away, or it has no place left for us (`isFull`). */
  onClosed(error: unknown, isFull: boolean): void
  /** The gate is open again, after `duration` milliseconds. */
  onOpened(duration: number, wasFull: boolean): void
}

/** An outage younger than this is likely a restart: it is probed often, so that nobody waits longer than it lasts. */
const YOUNG_MS = 2000
const SHORTEST_PAUSE_MS = 25
const LONGEST_YOUNG_PAUSE_MS = 45
const LONGEST_PAUSE_MS = 1334
/** This much of a long pause is left to chance, so that many processes do not meet; never two probes within a second. */
const JITTER_PART = 1 / 4
/** Only a part of the pool connects at once, so that a server that has just come back meets no storm. */
const CONNECTING_PART = 1 / 4
/** So few are no storm, and one connect that hangs must not keep a small pool from connecting. */
const ALWAYS_ALLOWED = 4
/** For pools without a limit. */
const MAX_COUNTED_CLIENTS = 100

interface Closure {
  readonly since: number
  /** As the last failed connect found it: a server that was full may go away, and one that was away come back full. */
  isFull: boolean
  failure: unknown
  nextProbeAt: number
  /** Upper bound of the next pause, once the outage is no longer young. */
  ceiling: number
  timer: Timer | undefined
}

/**
 * Whether the pool may open clients now, and how many at once. A connect that fails because the server is away closes
 * the gate: from then on a single prober connects, and its first success opens the gate again. Each success allows one
 * connect more, so that one is followed by two, two by four, until the backlog is gone. A server that went away with its clients is met by a single connect first.
 */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #fullAllowance: number
  #allowance: number
  #closure: Closure | undefined
  /** The probe under way; it may have been sent in an earlier outage. */
  #prober: object | undefined
  #isRecovering = false
  /** The last connect was ended under way. */
  #isSuspicious = false
  #isStopped = false

  constructor(parts: RecoveryParts) {
    this.#parts = parts
    const counted = Math.min(parts.limit, MAX_COUNTED_CLIENTS)
    this.#fullAllowance = Math.max(ALWAYS_ALLOWED, Math.ceil(counted * CONNECTING_PART))
    this.#allowance = this.#fullAllowance
  }

  /** A server that is there, but full, is `up`. */
  get state(): 'up' | 'down' | 'recovering' {
    if (this.#closure !== undefined && !this.#closure.isFull) return 'down'
    return this.#isRecovering ? 'recovering' : 'up'
  }

  /** Clock reading at which the gate was closed; none while it is open. */
  get closedAt(): number | undefined {
    return this.#closure?.since
  }

  get isClosed(): boolean {
    return this.#closure !== undefined
  }

  /** The server is there, and has no place left for us. */
  get isFull(): boolean {
    return this.#closure?.isFull ?? false
  }

  /** Why the gate is closed: the connect's error. */
  get failure(): unknown {
    return this.#closure?.failure
  }

  /** Whether one more client may be opened, besides those `connecting` already. */
  allows(connecting: number): boolean {
    return this.#closure === undefined && connecting < this.#allowance
  }

  /** Clock reading of the next probe; now, while the gate is open. */
  get nextProbeAt(): number {
    return this.#closure?.nextProbeAt ?? this.#parts.clock.now()
  }

  /** Milliseconds after which a repetition makes sense: the longer the outage, the later; never before the next probe. */
  get retryAfter(): number {
    const { clock } = this.#parts
    const now = clock.now()
    if (this.#closure === undefined) return 0
    const untilProbe = this.#closure.nextProbeAt - now
    return Math.max(untilProbe, (now - this.#closure.since) / 4)
  }

  /** A connect has ended, however; the prober's makes way for the next. Told before `failed` or `succeeded`. */
  ended(connect: object): void {
    if (connect === this.#prober) this.#prober = undefined
  }

  /** A connect failed: the server is away, or (`isFull`) has no place left for us. */
  failed(error: unknown, isFull: boolean): void {
    if (this.#isStopped) return
    this.#isRecovering = false
    this.#allowance = 1
    this.#isSuspicious = false
    if (this.#closure !== undefined) {
      this.#closure.failure = error
      this.#closure.isFull = isFull
      this.#schedule(this.#closure)
      return
    }
    const since = this.#parts.clock.now()
    const closure: Closure = {
      since,
      isFull,
      failure: error,
      nextProbeAt: since,
      ceiling: LONGEST_YOUNG_PAUSE_MS,
      timer: undefined
    }
    this.#closure = closure
    this.#schedule(closure)
    this.#parts.onClosed(error, isFull)
  }

  /** A connect was ended under way. Where that was one session's end, the next connect succeeds; else it closes the gate. */
  cutShort(error: unknown): void {
    if (this.#isSuspicious || this.#closure !== undefined) {
      this.failed(error, false)
      return
    }
    this.#isSuspicious = true
    this.#allowance = 1
  }

  /** The server answered a connect, be it with a refusal that waiting does not mend. `hasBacklog`: somebody waits for more. */
  succeeded(hasBacklog: boolean): void {
    this.#isSuspicious = false
    const closure = this.#closure
    if (closure !== undefined) {
      closure.timer?.cancel()
      this.#closure = undefined
      this.#isRecovering = !closure.isFull
      this.#parts.onOpened(this.#parts.clock.now() - closure.since, closure.isFull)
    } else {
      this.#allowance = Math.min(this.#fullAllowance, this.#allowance + 1)
    }
    if (hasBacklog && this.#allowance < this.#fullAllowance) return
    this.#allowance = this.#fullAllowance
    this.#isRecovering = false
  }

  /** The server took leave of its clients: whether it still takes new ones, a single connect shows. */
  suspect(): void {
    this.#allowance = 1
  }

  stop(): void {
    this.#isStopped = true
    this.#closure?.timer?.cancel()
  }

  /** Plans the next probe, unless one is planned or under way: there is never a second. */
  #schedule(closure: Closure): void {
    if (closure.timer !== undefined || this.#prober !== undefined) return
    const { clock, probe } = this.#parts
    const pause = this.#pause(closure)
    closure.nextProbeAt = clock.now() + pause
    const run = () => {
      closure.timer = undefined
      this.#prober = probe()
    }
    closure.timer = clock.setTimer(pause, run, { background: true })
  }

  /** Uniform while the outage is young; then doubling, with jitter. */
  #pause(closure: Closure): number {
    const { clock, random } = this.#parts
    if (clock.now() - closure.since < YOUNG_MS) {
      return SHORTEST_PAUSE_MS + random() * (LONGEST_YOUNG_PAUSE_MS - SHORTEST_PAUSE_MS)
    }
    closure.ceiling = Math.min(LONGEST_PAUSE_MS, closure.ceiling * 2)
    return closure.ceiling * (1 - random() * JITTER_PART)
  }
}
