import type { Account } from './account.js'
import type { Attempt } from './attempt.js'
import type { Client } from './client/client.js'
import { Failure } from './failure.js'
import type { Job } from './job.js'
import type { Session } from './session.js'

/** How many successes earn one replay: enough that they never double the load of a server in trouble. */
const SUCCESSES = 10

/**
 * The replays an engine may still make: a token bucket, filled by successes (Google SRE's retry budget, RFC 9110
 * §9.2.2 on who may repeat what).
 */
export class ReplayBudget {
  readonly #burst: number
  /** In successes: whole numbers add up. */
  #earned: number
  readonly #paidFor = new WeakSet<object>()
  /** Replays made since the start. */
  replays = 0

  /** `capacity`: how many clients the pool may have; twice as many replays may be made at once. */
  constructor(capacity: number) {
    this.#burst = 2 * Math.min(capacity, MAX_COUNTED_CLIENTS) * SUCCESSES
    this.#earned = this.#burst
  }

  succeeded(): void {
    if (this.#earned < this.#burst) this.#earned += 1
  }

  /** Whether one more replay may be made now. What was lost with one client, with many on it or few, counts once. */
  take(client?: object): boolean {
    if (client === undefined || !this.#paidFor.has(client)) {
      if (this.#earned < SUCCESSES) return false
      this.#earned -= SUCCESSES
      if (client !== undefined) this.#paidFor.add(client)
    }
    this.replays += 1
    return true
  }
}

/** For pools without a limit. */
const MAX_COUNTED_CLIENTS = 100

export interface ReplayHost {
  readonly budget: ReplayBudget
  onReplay(statement: string | undefined, error: unknown): void
}

/** Whether what a connection has tried in vain may be done again, unseen. */
export class Replay {
  readonly #host: ReplayHost
  readonly #session: Session
  readonly #account: Account
  /** The client that carries session state of this connection's own, and what made it: it cannot be gone on with on another. */
  #tainted: { client: Client; by: Attempt | undefined } | undefined
  /** What may have begun a transaction on this client was started then, as the account counts. */
  #begun: { client: Client; started: number } | undefined

  constructor(host: ReplayHost, session: Session, account: Account) {
    this.#host = host
    this.#session = session
    this.#account = account
  }

  /** The session has state of this connection's own from now on. */
  taint(client: Client, by: Attempt | undefined): void {
    client.transaction.forget()
    if (this.#tainted?.client !== client) this.#tainted = { client, by }
  }

  /** Something is written that may begin a transaction; `started` tells when it was started, as the account counts. */
  begins(client: Client, started: number): void {
    const before = this.#begun?.client === client ? this.#begun.started : 0
    this.#begun = { client, started: Math.max(before, started) }
  }

  /** Whether what is to be done again would become part of a transaction that was started after it. */
  isOvertaken(client: Client, started: number): boolean {
    if (this.#begun?.client !== client || this.#begun.started <= started) return false
    return client.isInTransaction || !client.isReady
  }

  /** Takes one from the budget, if it may: only for what is known to have had no effect, where the session had no state of its own. */
  take<Result>(failure: unknown, job: Job<Result>, attempt: Attempt): boolean {
    const account = this.#account
    const session = this.#session
    if (!(failure instanceof Failure) || !failure.isDisconnect || session.stop.isSet) return false
    if (this.#tainted?.client === attempt.client && this.#tainted?.by !== attempt) return false
    if (account.isInDoubt) return false
    const isFirst = attempt.carried?.isBegun === false
    const isAlone = !session.lostTransaction.isPending && job.isRepeatable
    if (!isFirst && !isAlone) return false
    if (!this.#host.budget.take(attempt.client)) return false
    session.lostTransaction.isPending = false
    this.#host.onReplay(job.text, failure.error)
    return true
  }
}
