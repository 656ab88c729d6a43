import type { Booking } from './booking.js'
import type { ClientState, SimulatedClient } from './client.js'
import type { SimulatedClock } from './clock.js'
import { Gate } from './gate.js'
import { Line } from './line.js'
import { type Limits, limitsOf, type WorldOptions } from './options.js'
import type { Tally, Transition } from './transitions.js'
import type { Invariant, Violation } from './violation.js'

/**
 * The world's own account of the pool, kept from what the pool lets be seen: which clients there are and where, and
 * who must be served next. Everything the pool does is held against it. It is exact at every moment, because the
 * world hears of each reply just before the pool does.
 */
export class Books {
  readonly options: WorldOptions
  readonly limits: Limits
  readonly clock: SimulatedClock
  readonly line: Line
  readonly gate: Gate
  readonly tally: Tally
  /** Kinds of fault that have had an effect. */
  readonly faults = new Set<string>()
  /** Clients that are connected, neither closed nor detached. */
  readonly open: SimulatedClient[] = []
  readonly counts = {
    lent: 0,
    connects: 0,
    connectFailures: 0,
    pings: 0,
    pingFailures: 0,
    timeouts: 0,
    /** Of which it does not show whether the deadline came first, or `recovery_timeout`. */
    ambiguous: 0,
    returns: 0,
    checkins: 0
  }
  violation: Violation | undefined
  trace: ((text: string) => void) | undefined
  connecting = 0
  generation = 0
  /** The generation that something has happened to for which it must be raised, now. */
  condemned = -1
  /** The reason the user gave for it. */
  condemnedFor: string | undefined
  /** The checkout whose call is running, until it is known what becomes of it. */
  newcomer: Booking | undefined
  /** When `close` uses force; none while the pool is open. */
  forcedAt: number | undefined
  isClosedByForce = false
  isInTimer = false
  /** Clients closed for their age, for which no other has been opened yet. */
  replacementsDue = 0
  /** Sockets of the pool's that are not closed yet, though it wants them to be. */
  closesUnderWay = 0
  /** When those who wait for a full server had hope last. */
  sparedAt = Number.NEGATIVE_INFINITY
  #trigger: SimulatedClient | undefined
  #idleOrder = 0

  constructor(options: WorldOptions, clock: SimulatedClock, tally: Tally) {
    this.options = options
    this.limits = limitsOf(options.pool)
    this.clock = clock
    this.line = new Line(clock)
    this.gate = new Gate(this.limits.limit)
    this.tally = tally
  }

  get size(): number {
    return this.connecting + this.open.length
  }

  get isClosed(): boolean {
    return this.line.isClosed
  }

  /** Clients in use, or in the hands of the pool for somebody's sake: they will be there again for others. */
  get lent(): number {
    return this.open.filter(({ stage, state }) => state !== 'idle' || stage !== 'none').length
  }

  /** Whether there is hope for those who wait although nobody connects. */
  get isSpared(): boolean {
    return this.gate.isFull && this.lent > 0
  }

  count(state: ClientState): number {
    let count = 0
    for (const client of this.open) if (client.state === state) count += 1
    return count
  }

  /** Idle clients that the pool is not just dealing with. */
  free(): SimulatedClient[] {
    return this.open.filter(({ stage, state }) => state === 'idle' && stage === 'none')
  }

  took(transition: Transition): void {
    this.tally[transition] += 1
    this.trace?.(`    ${transition}`)
  }

  violate(invariant: Invariant, detail: string): void {
    this.trace?.(`    VIOLATED: ${invariant}: ${detail}`)
    this.violation ??= { invariant, detail }
  }

  /** What the pool does from here on, it does because of this client; without one, because of a call or a timer. */
  trigger(client?: SimulatedClient): void {
    const before = this.#trigger
    this.#trigger = client
    this.#checkReplacements()
    if (this.isSpared) this.sparedAt = this.clock.now()
    if (before === undefined || before.stage === 'none') return
    if (before.state === 'idle') {
      this.took(before.stage === 'arrived' ? 'connect ok: kept idle' : 'supply: kept idle')
    }
    before.stage = 'none'
  }

  /** What was closed for its age has been replaced by now, if it is one of those that are kept. */
  #checkReplacements(): void {
    const mayOpen = this.gate.allows(this.connecting) && !this.isClosed
    if (this.replacementsDue > 0 && this.size < this.limits.keep && mayOpen) {
      this.violate('what is too old is replaced', `${this.replacementsDue} were not`)
    }
    this.replacementsDue = 0
  }

  /** The client is in the pool's hands again, or for the first time. */
  putIdle(client: SimulatedClient): void {
    this.#idleOrder += 1
    client.state = 'idle'
    client.idleSince = this.clock.now()
    client.idleOrder = this.#idleOrder
  }

  /** The client is the pool's no longer. */
  remove(client: SimulatedClient): void {
    const index = this.open.indexOf(client)
    if (index !== -1) this.open.splice(index, 1)
  }

  /** Something was found out that is the whole generation's fate, if it is not history already. */
  condemn(generation: number, reason?: string): boolean {
    if (this.isClosed || generation < this.generation) return false
    this.condemned = generation
    this.condemnedFor = reason
    if (reason !== 'user') {
      this.gate.suspect()
      this.took('gate: suspected')
    }
    return true
  }

  /** The pool says that a new generation has begun. */
  raiseGeneration(generation: number): void {
    if (this.condemned !== this.generation || generation !== this.generation + 1) {
      this.violate(
        'a generation is invalidated once per incident',
        `${generation} follows ${this.generation}, condemned ${this.condemned}`
      )
    }
    this.generation = generation
    this.condemned = -1
    this.took('invalidate: raises the generation')
  }

  /** When a waiter must give up on a server that stays away. */
  parkedUntil({ arrivedAt }: Booking): number {
    const since = Math.max(arrivedAt, this.gate.closedAt ?? Number.POSITIVE_INFINITY)
    return since + this.options.pool.recoveryTimeout
  }

  /** Who has just joined the line may find the gate closed. */
  reviewJoined(): void {
    for (const booking of this.line.joined.splice(0)) this.#review(booking)
  }

  /** A connect has failed: for each of those who wait it is seen whether they may go on. */
  reviewAll(): void {
    for (const booking of [...this.line.waiting]) this.#review(booking)
  }

  #review(booking: Booking): void {
    const { clock, gate, line } = this
    if (!gate.isClosed || booking.state !== 'waiting') return
    if (this.isSpared) {
      this.took('park: spared, others will return theirs')
    } else if (this.parkedUntil(booking) <= clock.now()) {
      this.took('park: refused, no time left')
      line.leave(booking, gate.failure)
    } else if (booking.deadline < gate.nextProbeAt) {
      this.took('park: refused, too late for the next probe')
      line.leave(booking, gate.failure)
    } else this.took('park: waits for the server')
  }
}
