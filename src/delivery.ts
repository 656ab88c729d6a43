import type { Account } from './account.js'
import { Attempt } from './attempt.js'
import { Caller } from './caller.js'
import type { Client } from './client/client.js'
import { ControlPart } from './client/parts.js'
import { Dispatch } from './dispatch.js'
import { ConnectionClosedError } from './errors.js'
import { Failure } from './failure.js'
import { Inquiry, type InquiryHost } from './inquiry.js'
import type { Job } from './job.js'
import { Lending, type Line } from './lending.js'
import type { OpenTransaction } from './open-transaction.js'
import { Patience } from './patience.js'
import { Verification } from './pool/checkout.js'
import { Replay, type ReplayHost } from './replay.js'
import type { Session } from './session.js'
import { CancelError } from './session-errors.js'
import type { Probe, Use } from './session-host.js'
import { unlimited } from './statement-timeout.js'
import { type StopClock, toThrow } from './stop-sign.js'

export interface DeliveryHost extends InquiryHost, ReplayHost, StopClock {}

const MAX_REPLAYS = 2

/**
 * Brings jobs to the server, and makes the best of it when the session is lost on the way: a commit whose answer was
 * lost is asked about, and what is known not to have happened is done again.
 */
export class Delivery implements Line {
  readonly #host: DeliveryHost
  readonly #session: Session
  readonly #account: Account
  readonly #inquiry: Inquiry
  readonly #replay: Replay
  readonly #dispatch: Dispatch
  readonly #patience: Patience
  /** Deliveries that have not settled: what is started behind them is not run again without them. */
  #running = 0
  transaction: OpenTransaction | undefined
  /** What is not written by us, or not alone, goes through here. */
  readonly lending: Lending

  constructor(host: DeliveryHost, session: Session, account: Account) {
    this.#host = host
    this.#session = session
    this.#account = account
    this.#inquiry = new Inquiry(account, host, session.stop)
    this.#replay = new Replay(host, session, account)
    this.#dispatch = new Dispatch(account, this.#inquiry, this.#replay, session.stop)
    this.#patience = new Patience(host, session.stop)
    this.lending = new Lending(this, session, account, this.#replay)
  }

  /** @throws the error as the application is to see it */
  deliver<Result>(job: Job<Result>): Promise<Result> {
    const started = this.#account.start()
    const { transaction } = this
    const { signals, text } = job
    if (job.isPlainRead !== true) transaction?.mayHaveWritten()
    if (this.#patience.isLimited(signals)) {
      return this.run(signals, text, (caller, carried) => {
        return this.#deliver(job, started, transaction, carried, caller)
      })
    }
    if (transaction === undefined) return this.#deliver(job, started)
    return transaction.inTurn(carried => this.#deliver(job, started, transaction, carried))
  }

  /** Runs work in its turn, for a caller that may go before it is over; see {@link Line}. */
  run<Result>(
    signals: Use['signals'],
    text: string | undefined,
    work: (caller: Caller, carried: OpenTransaction | undefined) => Promise<Result>
  ): Promise<Result> {
    const { transaction } = this
    return this.#inTime(signals, text, caller => {
      if (transaction === undefined) return work(caller, undefined)
      return transaction.inTurn(carried => work(caller, carried))
    })
  }

  /**
   * Ends the open transaction without waiting for the answer to its COMMIT, where somebody waits for the client, whose
   * first statement can take it along, and nothing depends on it: what a transaction has read stands, whatever becomes of
   * it, unless it is SERIALIZABLE (https://www.postgresql.org/docs/current/transaction-iso.html#XACT-SERIALIZABLE).
   * Returns whether it did.
   */
  commitLater(): boolean {
    const { transaction } = this
    const { client, isAwaited, stop } = this.#session
    if (!isAwaited || transaction?.hasOnlyRead !== true) return false
    if (client === undefined || stop.isSet) return false
    const parts = [...unlimited(stop.timeLeft), new ControlPart('COMMIT')]
    return client.lateCommit.begin(transaction.level, parts)
  }

  async #deliver<Result>(
    job: Job<Result>,
    started: number,
    transaction?: OpenTransaction,
    carried?: OpenTransaction,
    caller?: Caller
  ): Promise<Result> {
    if (caller?.isGone) throw new ConnectionClosedError()
    const { budget } = this.#host
    const replay = this.#replay
    const session = this.#session
    const isBehind = this.#running > 0
    this.#running += 1
    const use: Use = {
      isReadOnly: this.#isReadOnly(job),
      verification: showsLife(job, carried) ? new Verification() : undefined,
      signals: job.signals
    }
    try {
      let lost: unknown
      for (let replays = 0; ; ) {
        const attempt = new Attempt(started, carried, caller)
        const send = (client: Client, probe: Probe | undefined, isVerified: boolean) => {
          session.lostTransaction.assertNone()
          transaction?.assertNotOver()
          if (lost !== undefined && replay.isOvertaken(client, started)) throw lost
          if (carried !== undefined || job.leavesState) replay.begins(client, started)
          attempt.probe = probe
          attempt.isVerified = isVerified
          return this.#dispatch.send(client, job, attempt)
        }
        try {
          const result = await session.attempt(send, use)
          budget.succeeded()
          return result
        } catch (failure) {
          if (failure === lost) throw session.failures.explain(failure, job.text)
          lost = failure
          // What was lost with its client was no transaction of the application's.
          if (attempt.isSplit) session.lostTransaction.isPending = false
          if (caller?.isGone) throw failure
          if (await this.#inquiry.isCommitted(failure, job, attempt)) {
            session.lostTransaction.isPending = false
            return job.result(attempt.parts)
          }
          if (isFailedPing(failure) && use.verification?.isExhausted === false) continue
          replays += 1
          const mayReplay = replays <= MAX_REPLAYS && (!isBehind || job.effect === 'read')
          if (mayReplay && replay.take(failure, job, attempt)) continue
          throw session.failures.explain(failure, job.text)
        }
      }
    } finally {
      this.#running -= 1
    }
  }

  /**
   * Waits as long as there is time. What is left behind then comes to its end on a client that stays busy, or, where
   * it would be part of something, ends with its client.
   */
  #inTime<Result>(
    signals: Use['signals'],
    text: string | undefined,
    work: (caller: Caller) => Promise<Result>
  ): Promise<Result> {
    const caller = new Caller()
    const session = this.#session
    const working = work(caller)
    if (!this.#patience.isLimited(signals)) return working
    return this.#patience.wait(working, signals, reason => {
      caller.leave(reason)
      const isBound = caller.boundTo !== undefined && session.client === caller.boundTo
      const { isPending } = session.lostTransaction
      if (isBound) session.giveUp(new CancelError(reason))
      if (caller.isInOwnTransaction) session.lostTransaction.isPending = isPending
      return session.failures.explain(toThrow(reason), text)
    })
  }

  /** Where READ ONLY was asked for, its refusal of a write says nothing about the server. */
  #isReadOnly<Result>(job: Job<Result>): boolean {
    if (job.effectInBlock === 'read' || job.isReadOnlyByHand === true) return true
    return this.transaction?.isReadOnly === true
  }
}

/** Whether a job may be sent to a client of which nobody knows if it lives: lost, it has left nothing, and is sent again. */
function showsLife<Result>(job: Job<Result>, carried: OpenTransaction | undefined): boolean {
  if (carried !== undefined || job.effect === 'read' || job.effectInBlock === 'read') return true
  // Its COMMIT is sent when the client has answered.
  return job.effect === 'change' && job.isRepeatable
}

/** The client was dead when it was lent. That the job was lost with it costs no replay: it was the ping. */
function isFailedPing(failure: unknown): boolean {
  return failure instanceof Failure && failure.phase === 'ping' && failure.isDisconnect
}
