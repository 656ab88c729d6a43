import type { QueryConfig, QueryResult } from 'pg'
import type { Account } from './account.js'
import { Attempt } from './attempt.js'
import { runCancellable } from './cancellable.js'
import type { Client } from './client/client.js'
import { Exchange } from './client/exchange.js'
import { Script } from './client/script.js'
import { Dispatch } from './dispatch.js'
import { ConnectionClosedError } from './errors.js'
import { Failure } from './failure.js'
import { Inquiry, type InquiryHost } from './inquiry.js'
import type { Job } from './job.js'
import type { OpenTransaction } from './open-transaction.js'
import { Patience } from './patience.js'
import { Verification } from './pool/checkout.js'
import { Replay, type ReplayHost } from './replay.js'
import { runScript } from './run-script.js'
import type { Session } from './session.js'
import type { Probe, Use } from './session-host.js'
import { statementKind } from './statement-kind.js'
import { beginning } from './statement-timeout.js'
import type { StopClock } from './stop-sign.js'

export interface DeliveryHost extends InquiryHost, ReplayHost, StopClock {}

const MAX_REPLAYS = 2

/**
 * Brings jobs to the server, and makes the best of it when the session is lost on the way: a commit whose answer was
 * lost is asked about, and what is known not to have happened is done again.
 */
export class Delivery {
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

  constructor(host: DeliveryHost, session: Session, account: Account) {
    this.#host = host
    this.#session = session
    this.#account = account
    this.#inquiry = new Inquiry(account, host, session.stop)
    this.#replay = new Replay(host, session, account)
    this.#dispatch = new Dispatch(account, this.#inquiry, this.#replay, session.stop)
    this.#patience = new Patience(host, session.stop, account)
  }

  /** Something was cancelled, and the server has not shown yet that it heard of it. */
  get isUnresponsive(): boolean {
    return this.#patience.isExhausted
  }

  /** @throws the error as the application is to see it */
  deliver<Result>(job: Job<Result>): Promise<Result> {
    const started = this.#account.start()
    const { transaction } = this
    if (transaction === undefined) return this.#deliver(job, started, undefined)
    return transaction.inTurn(carried => this.#deliver(job, started, carried))
  }

  /**
   * Has a client used for a query of a library's own, in front of which nothing can ride: in its turn, so that it is
   * part of the transaction that it was started in, and neither overtakes nor is overtaken.
   */
  lend<Result>(
    text: string | undefined,
    work: (client: Client) => Result | Promise<Result>,
    use?: Use
  ): Promise<Result> {
    const started = this.#account.start()
    const run = async (client: Client, carried: OpenTransaction | undefined) => {
      if (carried === undefined) this.#session.assertNothingPending()
      else await this.#beginAlone(client, carried)
      this.#lent(client, text, started)
      return work(client)
    }
    return this.#inTurn(carried => this.#session.use(client => run(client, carried), use))
  }

  #lent(client: Client, text: string | undefined, started: number): void {
    const kind = text === undefined ? undefined : statementKind(text)
    if (kind?.kind === 'read') return
    this.#replay.taint(client, undefined)
    this.#replay.begins(client, started)
    const { isInTransaction } = client
    // A COMMIT in it would not be seen.
    const isUndone = isInTransaction && kind?.control === undefined && kind?.several === false
    this.#account.written(isUndone ? 'change' : 'untracked', isInTransaction)
  }

  /** Runs a text of several statements, which may end the transaction that it is part of; that is refused afterwards. */
  deliverScript(
    config: QueryConfig,
    signals: readonly AbortSignal[] | undefined
  ): Promise<QueryResult> {
    const { text } = config
    const account = this.#account
    const session = this.#session
    const { transaction } = this
    const started = account.start()
    const refusal = () => {
      return account.isCutOff(started, 'untracked') ? new ConnectionClosedError() : undefined
    }
    const run = async (client: Client, carried: OpenTransaction | undefined) => {
      if (carried === undefined) session.assertNothingPending()
      else await this.#beginAlone(client, carried)
      this.#replay.taint(client, undefined)
      this.#replay.begins(client, started)
      const written = () => {
        client.role.noteText(text)
        account.written('untracked', client.isInTransaction)
      }
      const script = new Script(config, written, refusal)
      const runIt = (one: Script) => {
        return this.#inTime(client, runCancellable(client, one, signals, account), signals)
      }
      const onEnded = transaction && ((error: Error) => session.giveUp(error))
      return runScript(client, script, onEnded, runIt)
    }
    const use = { statement: text, signals }
    return this.#inTurn(carried => session.use(client => run(client, carried), use))
  }

  async #deliver<Result>(
    job: Job<Result>,
    started: number,
    carried: OpenTransaction | undefined
  ): Promise<Result> {
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
        const attempt = new Attempt(started, carried)
        const send = (client: Client, probe: Probe | undefined, isVerified: boolean) => {
          session.assertNothingPending()
          if (lost !== undefined && replay.isOvertaken(client, started)) throw lost
          if (carried !== undefined || job.leavesState) replay.begins(client, started)
          attempt.probe = probe
          attempt.isVerified = isVerified
          const sent = this.#dispatch.send(client, job, attempt)
          return this.#inTime(client, sent, job.signals, attempt)
        }
        try {
          const result = await session.attempt(send, use)
          budget.succeeded()
          return result
        } catch (failure) {
          if (failure === lost) throw session.explain(failure, job.text)
          lost = failure
          // What was lost with its client was no transaction of the application's.
          if (attempt.isSplit) session.isPendingRollback = false
          if (await this.#inquiry.isCommitted(failure, job, attempt)) {
            session.isPendingRollback = false
            return job.result(attempt.parts)
          }
          if (isFailedPing(failure) && use.verification?.isExhausted === false) continue
          replays += 1
          const mayReplay = replays <= MAX_REPLAYS && (!isBehind || job.effect === 'read')
          if (mayReplay && replay.take(failure, job, attempt)) continue
          throw session.explain(failure, job.text)
        }
      }
    } finally {
      this.#running -= 1
    }
  }

  /** Waits as long as there is time. A client that is lost when nobody waits any more is given up all the same. */
  #inTime<Result>(
    client: Client,
    work: Promise<Result>,
    signals: readonly AbortSignal[] | undefined,
    attempt?: Attempt
  ): Promise<Result> {
    return this.#patience.wait(work, signals, () => {
      attempt?.leave()
      work.catch(error => {
        if (client.lost !== undefined) this.#session.fail(client, error)
      })
    })
  }

  /** Where READ ONLY was asked for, its refusal of a write says nothing about the server. */
  #isReadOnly<Result>(job: Job<Result>): boolean {
    if (job.effectInBlock === 'read' || job.isReadOnlyByHand === true) return true
    return this.transaction?.isReadOnly === true
  }

  /** Runs work with the open transaction if it is the one to begin it, and after whatever begins it if it is not. */
  #inTurn<Result>(
    work: (carried: OpenTransaction | undefined) => Promise<Result>
  ): Promise<Result> {
    return this.transaction === undefined ? work(undefined) : this.transaction.inTurn(work)
  }

  async #beginAlone(client: Client, carried: OpenTransaction | undefined): Promise<void> {
    this.#session.assertNothingPending()
    if (carried === undefined) return
    const parts = beginning(carried.begin, this.#session.stop.timeLeft)
    const begin = new Exchange(parts, () => {})
    await client.run(begin, () => carried.answered(client.isInTransaction))
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
