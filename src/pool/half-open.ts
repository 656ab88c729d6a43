import type { Clock, Timer } from '../clock.js'
import { loopTurn } from '../loop-time.js'
import { SilenceError } from '../session-errors.js'

/** What the watch sees of a client. */
export interface WatchedClient {
  /** Why the session is gone, once it is. */
  readonly lost: unknown
  /** Something was sent that the server has not answered to its end. */
  readonly isWaiting: boolean
  /** Somebody may send something without our being told. */
  readonly isUsed: boolean
  readonly traffic: {
    /** Since it was connected. */
    readonly bytesRead: number
    readonly bytesWritten: number
    /** Where it is connected to. */
    readonly address: string
  }
  /** Destroys the socket, without a goodbye; what waits fails with the error. */
  abandon(error: unknown): void
}

/** A client that has waited in silence. */
export interface SilentClient<C> {
  readonly client: C
  /** No more than this was sent since it was heard from last; not all of it may have arrived. */
  readonly bytesSent: number
  /** How long it has been silent at least, in milliseconds. */
  readonly forMs: number
}

/** What a look from the side has found. What it cannot tell, it does not claim. */
export interface Finding<C> {
  /** Nobody is there any more. */
  readonly isServerGone: boolean
  /** Those that wait in vain, though the server is there. */
  readonly lost: readonly C[]
}

export interface HalfOpenParts<C> {
  readonly clock: Clock
  /** `half_open_timeout`, in milliseconds; 0: nobody is watched. */
  readonly timeout: number
  /** Looks from the side at a server whose clients wait in silence; they are all at one address. Never rejects. */
  look(silent: readonly SilentClient<C>[]): Promise<Finding<C>>
  /** Every client of this generation and older ones is gone. */
  invalidate(error: unknown, generation: number): void
}

/** Silence is counted in steps, not read off a clock: a stall of our own, however long, is one step. */
const STEPS = 4
/** A slow query is looked after at longer and longer intervals, of at most as many time-outs. */
const MAX_INTERVAL = 20

/** How long a client has been silent. */
class Silence {
  readonly generation: number
  steps = 0
  /** The steps at which it is looked after. */
  nextLook = STEPS
  bytesRead: number
  bytesWritten: number

  constructor(client: WatchedClient, generation: number) {
    this.generation = generation
    this.bytesRead = client.traffic.bytesRead
    this.bytesWritten = client.traffic.bytesWritten
  }

  get isDue(): boolean {
    return this.steps >= this.nextLook
  }

  /** Counted from the step before the silence began: rather a look too early than one too late. */
  step(client: WatchedClient): void {
    if (this.isUnbroken(client)) {
      this.steps += 1
      return
    }
    this.steps = client.isWaiting ? 1 : 0
    this.nextLook = STEPS
    this.bytesRead = client.traffic.bytesRead
    this.bytesWritten = client.traffic.bytesWritten
  }

  isUnbroken(client: WatchedClient): boolean {
    return (
      client.lost === undefined && client.isWaiting && client.traffic.bytesRead === this.bytesRead
    )
  }

  lookedAfter(): void {
    this.nextLook = this.steps + Math.min(this.steps, MAX_INTERVAL * STEPS)
  }
}

/**
 * Tells the slow from the gone: a peer that went away without a word leaves its clients waiting for ever. Who has
 * waited in silence for the time-out is looked after from the side. All clients share one timer, which runs only while
 * somebody waits; sending costs one comparison, and receiving nothing.
 */
export class HalfOpenWatch<C extends WatchedClient> {
  readonly #parts: HalfOpenParts<C>
  readonly #silences = new Map<C, Silence>()
  #timer: Timer | undefined
  #isLooking = false

  constructor(parts: HalfOpenParts<C>) {
    this.#parts = parts
  }

  /** Watches a client until it is lost. */
  add(client: C, generation: number): void {
    if (this.#parts.timeout > 0) this.#silences.set(client, new Silence(client, generation))
  }

  /** Something is about to be sent. */
  arm(): void {
    if (this.#timer !== undefined || this.#silences.size === 0) return
    this.#step()
    this.#schedule()
  }

  #schedule(): void {
    const { clock, timeout } = this.#parts
    const run = () => {
      this.#timer = undefined
      if (this.#step()) this.#schedule()
      if (!this.#isLooking) void this.#lookAfterDue()
    }
    this.#timer = clock.setTimer(timeout / STEPS, run, { background: true })
  }

  /** Whether anybody waits, or may. */
  #step(): boolean {
    let isAnyWaiting = false
    for (const [client, silence] of this.#silences) {
      if (client.lost !== undefined) this.#silences.delete(client)
      else {
        silence.step(client)
        isAnyWaiting ||= client.isWaiting || client.isUsed
      }
    }
    return isAnyWaiting
  }

  /** One look at a time, however many are silent: those at the address of the one that has been for longest share it. */
  async #lookAfterDue(): Promise<void> {
    this.#isLooking = true
    for (let address = this.#nextAddress(); address !== undefined; address = this.#nextAddress()) {
      await this.#lookAt(address)
    }
    this.#isLooking = false
  }

  #nextAddress(): string | undefined {
    let longest: { steps: number; address: string } | undefined
    for (const [client, silence] of this.#silences) {
      if (!silence.isDue || !silence.isUnbroken(client)) continue
      if (longest === undefined || silence.steps > longest.steps) {
        longest = { steps: silence.steps, address: client.traffic.address }
      }
    }
    return longest?.address
  }

  async #lookAt(address: string): Promise<void> {
    const silent = this.#silentAt(address)
    const heard = new Map(
      [...this.#silences.keys()].map(client => [client, client.traffic.bytesRead])
    )
    const finding = await this.#parts.look(
      silent.map(([client, silence]) => ({
        client,
        bytesSent: client.traffic.bytesWritten - silence.bytesWritten,
        forMs: ((silence.steps - 1) * this.#parts.timeout) / STEPS
      }))
    )
    // What came while we looked, or while our own loop stood still, is read first.
    await loopTurn()
    for (const [, silence] of silent) silence.lookedAfter()
    if (finding.isServerGone && !this.#wasHeardAt(address, heard)) this.#abandonAll(address)
    else this.#abandonEach(finding.lost)
  }

  #silentAt(address: string): [C, Silence][] {
    return [...this.#silences].filter(
      ([client, silence]) =>
        client.traffic.address === address && silence.steps >= STEPS && silence.isUnbroken(client)
    )
  }

  /** A server that answers others is there, whatever became of a new connection to it. */
  #wasHeardAt(address: string, heard: ReadonlyMap<C, number>): boolean {
    return [...this.#silences.keys()].some(
      client =>
        client.traffic.address === address &&
        client.lost === undefined &&
        client.traffic.bytesRead !== heard.get(client)
    )
  }

  #abandonAll(address: string): void {
    const gone = this.#silentAt(address)
    if (gone.length === 0) return
    const error = new SilenceError('generation')
    // That of those that were silent: a newer one is connected to whatever has taken the server's place.
    const generation = Math.max(...gone.map(([, silence]) => silence.generation))
    this.#parts.invalidate(error, generation)
    for (const [client] of gone) client.abandon(error)
  }

  #abandonEach(lost: readonly C[]): void {
    for (const client of lost) {
      if (this.#silences.get(client)?.isUnbroken(client)) client.abandon(new SilenceError('client'))
    }
  }
}
