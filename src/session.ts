import { throwIfAborted } from './abort-listener.js'
import type { Account } from './account.js'
import type { Client } from './client/client.js'
import { type Holder, Holding } from './holding.js'
import type { Ledger } from './ledger.js'
import { afterLoopTime } from './loop-time.js'
import { LostTransaction } from './lost-transaction.js'
import { GRACE_MS } from './patience.js'
import type { Lease } from './pool/slot.js'
import { type Endable, SessionEnding, type Why } from './session-ending.js'
import { CancelError } from './session-errors.js'
import { type Losable, SessionFailures } from './session-failures.js'
import type { Probe, SessionHost, Use } from './session-host.js'
import { type Deadline, StopSign } from './stop-sign.js'

/**
 * What a connection does on its client, and what becomes of it: work is refused once the session has been stopped, a
 * failure is judged once and draws its consequences, and what is known of a lost transaction stays until that is rolled back.
 */
export class Session implements Endable, Holder, Losable {
  readonly #host: SessionHost
  readonly #account: Account
  readonly #holding: Holding
  /** Whether anything more may be started. */
  readonly stop: StopSign
  /** How it ends, besides {@link release}. */
  readonly ending: SessionEnding
  readonly failures: SessionFailures
  #isInvalidated = false

  readonly lostTransaction = new LostTransaction()

  constructor(host: SessionHost, ledger: Ledger, account: Account, deadline?: Deadline) {
    this.stop = new StopSign(host, deadline)
    this.ending = new SessionEnding(host, this)
    this.#holding = new Holding(host, this)
    this.failures = new SessionFailures(host, ledger, this)
    this.#host = host
    this.#account = account
  }

  get isEnded(): boolean {
    return this.ending.isEnded
  }

  get isInvalidated(): boolean {
    return this.#isInvalidated
  }

  get isInTransaction(): boolean {
    return this.lostTransaction.isPending || (this.client?.isInTransaction ?? false)
  }

  /** The client held now, to be looked at. */
  get client(): Client | undefined {
    return this.#holding.client
  }

  /** Whether somebody waits for a client of the pool. */
  get isAwaited(): boolean {
    return this.#host.pool.isAwaited
  }

  /** See {@link Losable}. */
  get lease(): Lease<Client> | undefined {
    return this.#holding.lease
  }

  /** Whether a client is held now. */
  get hasClient(): boolean {
    return this.lease !== undefined
  }

  /**
   * Does work on the session's client. What the work throws comes out as the application is to see it.
   */
  async use<Result>(
    work: (client: Client) => Result | Promise<Result>,
    use: Use = {}
  ): Promise<Result> {
    try {
      return await this.attempt(work, use)
    } catch (failure) {
      throw this.failures.explain(failure, use.statement)
    }
  }

  /**
   * As {@link use}, for those who want to do something about a failure before it is explained: it comes out as a
   * {@link Failure}, when the pool has drawn its consequences.
   */
  async attempt<Result>(
    work: (
      client: Client,
      probe: Probe | undefined,
      isVerified: boolean
    ) => Result | Promise<Result>,
    use: Use = {}
  ): Promise<Result> {
    const holding = this.#holding
    holding.enter(this.ending.isLingering)
    try {
      const lease = holding.takeNow(use) ?? (await holding.wait(use))
      try {
        throwIfAborted(use.signals)
        return await work(lease.client, this.#probe(lease, use), !lease.isUnverified)
      } catch (error) {
        throw this.failures.of(lease, error, use)
      }
    } finally {
      holding.leave()
    }
  }

  /** From here on the client is not given back, though nothing runs on it: a transaction is open. */
  hold(): void {
    this.#holding.hold()
  }

  unhold(): void {
    this.#holding.unhold()
  }

  /** Gives the client back as soon as nothing runs on it; a later use takes another one. */
  release(): void {
    this.#holding.release()
  }

  /** As {@link release}, for good and in bounded time; a checkout that still waits is called off. */
  end(): void {
    this.ending.end()
  }

  /** See {@link Endable}. */
  get isWaiting(): boolean {
    return this.#holding.isWaiting
  }

  refuse(why: Why): void {
    this.stop.set(why)
    if (this.isWaiting) this.#holding.callOff(why())
  }

  /** See {@link Holder}. */
  onTaken(): void {
    this.#isInvalidated = false
    this.stop.watch(why => this.#late(why))
  }

  onDropped(): void {
    this.ending.onReturned()
    this.stop.unwatch()
  }

  onLost(client: Client): void {
    this.failures.judge(client, client.lost)
  }

  /** Has what runs cancelled, but for a COMMIT, and refuses what waits behind it. */
  cancel(why: Why): void {
    this.stop.set(why)
    const { client } = this
    if (client && !this.#account.isCommitting && !client.mayBeCommitting) client.interrupt(why())
  }

  /** The client cannot go on, or must not: it is closed, and a transaction on it is lost. */
  giveUp(error: unknown, reason: 'error' | 'user' = 'error'): void {
    const { isHeld, lease } = this.#holding
    if (lease === undefined) return
    this.lostTransaction.isPending ||= isHeld || lease.client.isInTransaction
    this.lost()
    this.#host.pool.checkin(lease, reason, error)
  }

  /** See {@link Losable}. */
  lost(): void {
    this.#isInvalidated = true
    this.#account.lost()
    this.#holding.drop()
  }

  /** The client works, and is to be replaced when it comes back: SQLAlchemy's soft invalidation. */
  giveUpSoftly(error: unknown): void {
    const { lease } = this.#holding
    if (lease) this.#host.pool.invalidateSoftly(lease, error)
  }

  /** The client leaves the pool, and is closed when it is given back. */
  detach(): void {
    const { lease } = this.#holding
    if (lease) this.#host.pool.detach(lease)
  }

  /** For what is in a library's hands and was cancelled: it is told in time only by the loss of its client. */
  abandonUnless(isOver: () => boolean, client: Client, reason: unknown): void {
    afterLoopTime(this.#host, GRACE_MS, () => {
      if (this.client === client && !isOver()) client.abandon(new CancelError(reason))
    })
  }

  #late(why: Why): void {
    this.cancel(why)
    const { client } = this
    if (client?.isUsed === true) this.abandonUnless(() => client.isReady, client, why())
  }

  #probe(lease: Lease<Client>, use: Use): Probe | undefined {
    if (!lease.isUnverified || lease.isProbed || use.verification === undefined) return undefined
    return {
      start: () => {
        lease.isProbed = true
        lease.client.expectAnswer(this.#host.pingTimeout, () => {
          lease.isUnverified = false
        })
      }
    }
  }
}
