import type { Client } from './client/client.js'
import { Failure, OF_STATEMENT } from './failure.js'
import type { Ledger } from './ledger.js'
import type { Lease } from './pool/slot.js'
import type { SessionHost, Use } from './session-host.js'
import type { StopSign } from './stop-sign.js'

/** What a failure may cost the session on whose client it happened. */
export interface Losable {
  /** The client it holds now. */
  readonly lease: Lease<Client> | undefined
  readonly stop: StopSign
  /** The client cannot go on: it is closed. */
  giveUp(error: unknown): void
  /** The client is to be replaced when it comes back. */
  giveUpSoftly(error: unknown): void
  /** The client is gone, and somebody else has seen to what becomes of it. */
  lost(): void
}

/** Judges what fails on a session's client, once, draws the consequences, and says it as the application is to see it. */
export class SessionFailures {
  readonly #host: SessionHost
  readonly #ledger: Ledger
  readonly #session: Losable

  constructor(host: SessionHost, ledger: Ledger, session: Losable) {
    this.#host = host
    this.#ledger = ledger
    this.#session = session
  }

  /** What a use of the client comes to that has thrown this: a {@link Failure}, or what it was called off for. */
  of(lease: Lease<Client>, error: unknown, use: Use): unknown {
    // It has been judged already, and is about another client.
    if (error instanceof Failure) return error
    const reason = this.reasonFor(lease.client, error, use.signals)
    if (reason) return reason.thrown
    return this.#wasDead(lease, use) ?? this.judge(lease.client, error, use.isReadOnly)
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

  /** Draws the consequences of an error on a client. */
  judge(client: Client, error: unknown, isReadOnly = false): Failure {
    const session = this.#session
    const { lease } = session
    const judged = this.#host.judge(error, 'statement', client)
    const verdict = isReadOnly && judged.failure === 'read_only' ? OF_STATEMENT : judged
    if (lease?.client === client) {
      if (verdict.scope === 'generation') this.#host.pool.invalidate(error, lease.generation)
      if (verdict.failure === 'disconnect' || client.lost !== undefined) session.giveUp(error)
      else if (verdict.scope === 'client') session.giveUpSoftly(error)
    }
    return new Failure(error, verdict, 'statement')
  }

  /** As {@link StopSign.reasonFor}; a client that was lost over it is given up. */
  reasonFor(
    client: Client,
    error: unknown,
    signals: Use['signals']
  ): { thrown: unknown } | undefined {
    const reason = this.#session.stop.reasonFor(error, signals)
    if (reason !== undefined && client.lost !== undefined) this.judge(client, error)
    return reason
  }

  /** The failure of a use whose client was dead when it was lent: it is replaced as after a failed ping. */
  #wasDead(lease: Lease<Client>, { verification }: Use): Failure | undefined {
    const error = lease.client.lost
    if (!lease.isUnverified || error === undefined || verification === undefined) return undefined
    if (this.#session.lease === lease) {
      this.#session.lost()
      const verdict = this.#host.pool.verificationFailed(lease, verification, error)
      return new Failure(error, verdict, 'ping')
    }
    // Sent along with the one that was told first: the consequences are drawn.
    verification.tries += 1
    return new Failure(error, this.#host.judge(error, 'ping', lease.client), 'ping')
  }
}
