import { throwIfAborted } from './abort-listener.js'
import type { Account } from './account.js'
import type { Client } from './client/client.js'
import { PendingRollbackError } from './errors.js'
import { Failure, OF_STATEMENT } from './failure.js'
import type { Ledger } from './ledger.js'
import type { Lease } from './pool/slot.js'
import { SessionEnding, type Why } from './session-ending.js'
import type { Probe, SessionHost, Use } from './session-host.js'
import { SharedCheckout } from './shared-checkout.js'
import { type Deadline, StopSign } from './stop-sign.js'

/**
 * The client behind a connection: taken from the pool with the first use, kept while it is wanted, given back once
 * and never while something runs on it. What is known of a lost one stays until it is rolled back.
 */
export class Session {
  readonly #host: SessionHost
  readonly #ledger: Ledger
  readonly #account: Account
  /** Whether anything more may be started. */
  readonly stop: StopSign
  /** How it ends, besides {@link release}. */
  readonly ending: SessionEnding
  #lease: Lease<Client> | undefined
  #checkingOut: SharedCheckout<Lease<Client>> | undefined
  /** Uses, holds and checkouts that are not over. */
  #uses = 0
  /** Those among them that wait for a client. */
  #entering = 0
  #holds = 0
  #isReturning = false
  #stopLeakWatch: (() => void) | undefined
  #isInvalidated = false

  /** A transaction was lost with its client, and nobody has rolled it back yet. */
  isPendingRollback = false

  constructor(host: SessionHost, ledger: Ledger, account: Account, deadline?: Deadline) {
    const { now, returnTimeout, setTimer } = host
    this.stop = new StopSign({ deadline, now, setTimer })
    this.ending = new SessionEnding({
      returnTimeout,
      setTimer,
      hasClient: () => this.hasClient,
      isWaiting: () => this.#entering > 0,
      stop: why => {
        this.stop.set(why)
        this.#checkingOut?.callOff(why())
      },
      release: () => this.release(),
      cancel: why => this.#cancel(why),
      giveUp: error => this.giveUp(error)
    })
    this.#host = host
    this.#ledger = ledger
    this.#account = account
  }

  get isEnded(): boolean {
    return this.ending.isEnded
  }

  get isInvalidated(): boolean {
    return this.#isInvalidated
  }

  get isInTransaction(): boolean {
    return this.isPendingRollback || (this.#lease?.client.isInTransaction ?? false)
  }

  /** The client held now, to be looked at. */
  get client(): Client | undefined {
    return this.#lease?.client
  }

  /** Whether a client is held now. */
  get hasClient(): boolean {
    return this.#lease !== undefined
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
      throw this.explain(failure, use.statement)
    }
  }

  /**
   * As {@link use}, for those who want to do something about a failure before it is explained: it comes out as a
   * {@link Failure}, when the pool has drawn its consequences.
   */
  async attempt<Result>(
    work: (client: Client, probe: Probe | undefined) => Result | Promise<Result>,
    use: Use = {}
  ): Promise<Result> {
    this.#uses += 1
    if (!this.isEnded) this.#isReturning = this.ending.isLingering
    try {
      let lease = this.#entering === 0 ? this.#lease : undefined
      if (lease === undefined) {
        // Counted until the work begins: whoever comes meanwhile waits as well, or would overtake.
        this.#entering += 1
        try {
          lease = await this.#checkout(use)
        } finally {
          this.#entering -= 1
          if (this.#entering === 0) this.#checkingOut = undefined
        }
      }
      try {
        throwIfAborted(use.signals)
        return await work(lease.client, this.#probe(lease, use))
      } catch (error) {
        const reason = this.stop.reasonFor(error, use.signals)
        if (reason) throw reason.thrown
        throw this.#wasDead(lease, use) ?? this.fail(lease.client, error, use.isReadOnly)
      }
    } finally {
      this.#uses -= 1
      this.#returnIfQuiet()
    }
  }

  /** What the application gets to see of a failure. */
  explain(failure: unknown, statement: string | undefined): unknown {
    if (!(failure instanceof Failure)) return failure
    const { error, phase, verdict } = failure
    const explained = this.#host.explain(error, verdict, this.#ledger, { phase, statement })
    // The server's errors are made in a socket's callback: their stack is to lead to whoever ran the statement.
    if (explained === error && error instanceof Error) Error.captureStackTrace(error)
    return explained
  }

  /** @throws {PendingRollbackError} what was lost must be rolled back before anything else runs */
  assertNothingPending(): void {
    if (this.isPendingRollback) throw new PendingRollbackError({ outcome: 'rolled_back' })
  }

  /** From here on the client is not given back, though nothing runs on it: a transaction is open. */
  hold(): void {
    this.#holds += 1
  }

  unhold(): void {
    this.#holds -= 1
    this.#returnIfQuiet()
  }

  /** Gives the client back as soon as nothing runs on it; a later use takes another one. */
  release(): void {
    this.#isReturning = true
    this.#returnIfQuiet()
  }

  /** As {@link release}, for good and in bounded time; a checkout that still waits is called off. */
  end(): void {
    this.ending.end()
  }

  /** Has what runs cancelled, but for a COMMIT, and refuses what waits behind it. */
  #cancel(why: Why): void {
    this.stop.set(why)
    const client = this.#lease?.client
    if (client && !this.#account.isCommitting && !client.mayBeCommitting) client.interrupt(why())
  }

  /** The client cannot go on, or must not: it is closed, and a transaction on it is lost. */
  giveUp(error: unknown, reason: 'error' | 'user' = 'error'): void {
    const lease = this.#lease
    if (lease === undefined) return
    this.isPendingRollback ||= this.#holds > 0 || lease.client.isInTransaction
    this.#isInvalidated = true
    this.#account.lost()
    this.#forget()
    this.#host.pool.checkin(lease, reason, error)
  }

  /** The client works, and is to be replaced when it comes back: SQLAlchemy's soft invalidation. */
  giveUpSoftly(error: unknown): void {
    if (this.#lease) this.#host.pool.invalidateSoftly(this.#lease, error)
  }

  /** The client leaves the pool, and is closed when it is given back. */
  detach(): void {
    if (this.#lease) this.#host.pool.detach(this.#lease)
  }

  /** Draws the consequences of an error on a client, once. */
  fail(client: Client, error: unknown, isReadOnly = false): Failure {
    const judged = this.#host.judge(error, 'statement', client)
    const verdict = isReadOnly && judged.failure === 'read_only' ? OF_STATEMENT : judged
    const lease = this.#lease
    if (lease?.client === client) {
      if (verdict.failure === 'disconnect' || client.lost !== undefined) this.giveUp(error)
      else if (verdict.scope === 'client') this.giveUpSoftly(error)
      if (verdict.scope === 'generation') this.#host.pool.invalidate(error, lease.generation)
    }
    return new Failure(error, verdict, 'statement')
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

  /** The failure of a use whose client was dead when it was lent: it is replaced as after a failed ping. */
  #wasDead(lease: Lease<Client>, { verification }: Use): Failure | undefined {
    const error = lease.client.lost
    if (!lease.isUnverified || error === undefined || verification === undefined) return undefined
    if (this.#lease !== lease) return undefined
    this.#isInvalidated = true
    this.#account.lost()
    this.#forget()
    const verdict = this.#host.pool.verificationFailed(lease, verification, error)
    return new Failure(error, verdict, 'ping')
  }

  async #checkout(use: Use): Promise<Lease<Client>> {
    const { deadline } = this.stop
    const { verification } = use
    if (this.isEnded) this.stop.assertNotSet()
    // Not to be begun for somebody who has left already: nobody would give back what came of it.
    throwIfAborted(use.signals)
    this.#stopLeakWatch ??= this.#host.leakWatch.watch()
    if (this.#checkingOut?.isCalledOff) this.#checkingOut = undefined
    this.#checkingOut ??= new SharedCheckout(signal =>
      this.#host.pool.checkout({ deadline, signal, verification })
    )
    try {
      const lease = await this.#checkingOut.wait(use.signals)
      if (lease.isReturned) this.#checkingOut = undefined
      else if (this.#lease && this.#lease !== lease) this.#host.pool.putBack(lease)
      else this.#lease = lease
      this.#isInvalidated = false
      this.stop.watch(why => this.#cancel(why))
    } catch (error) {
      const reason = this.stop.reasonFor(error, use.signals)
      if (!reason || this.#entering === 1) this.#forget()
      if (reason) throw reason.thrown
      const verdict = this.#host.judge(error, 'connect', undefined)
      throw new Failure(error, verdict, 'connect')
    }
    if (this.isEnded) this.stop.assertNotSet()
    return this.#lease ?? this.#checkout(use)
  }

  #returnIfQuiet(): void {
    const lease = this.#lease
    if (!this.#isReturning || lease === undefined) return
    if (this.#uses > 0 || this.#holds > 0) return
    this.#isReturning = false
    const { client } = lease
    if (client.lost !== undefined) {
      this.fail(client, client.lost)
      return
    }
    if (!client.isReady) {
      this.#isReturning = true
      client.onceReady(() => this.#returnIfQuiet())
      return
    }
    this.#forget()
    this.#host.pool.checkin(lease)
  }

  #forget(): void {
    this.#lease = undefined
    this.ending.onReturned()
    this.stop.unwatch()
    this.#stopLeakWatch?.()
    this.#stopLeakWatch = undefined
  }
}
