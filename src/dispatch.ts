import type { Account } from './account.js'
import type { Attempt } from './attempt.js'
import { runCancellable } from './cancellable.js'
import type { Client } from './client/client.js'
import { EvidencePart } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { IsolationPart } from './client/isolation-part.js'
import { ControlPart, type Part } from './client/parts.js'
import type { PreparedStatements } from './client/statements.js'
import { ConnectionClosedError } from './errors.js'
import type { Inquiry } from './inquiry.js'
import type { Job } from './job.js'
import type { Replay } from './replay.js'
import { beginning, unlimited } from './statement-timeout.js'
import type { StopSign } from './stop-sign.js'

/** Writes one try of a job to a client, with what is to ride with it, and enters in the account what becomes of it. */
export class Dispatch {
  readonly #account: Account
  readonly #inquiry: Inquiry
  readonly #replay: Replay
  readonly #stop: Pick<StopSign, 'timeLeft'>
  /** Written, and not answered yet. */
  readonly #unanswered = new Set<Attempt>()

  constructor(
    account: Account,
    inquiry: Inquiry,
    replay: Replay,
    stop: Pick<StopSign, 'timeLeft'>
  ) {
    this.#account = account
    this.#inquiry = inquiry
    this.#replay = replay
    this.#stop = stop
  }

  /** Outside of a transaction, what could not be executed as it was prepared is sent again as it is, in its place. */
  async send<Result>(client: Client, job: Job<Result>, attempt: Attempt): Promise<Result> {
    let sent = this.#sendOnce(client, job, attempt, client.statements)
    for (;;) {
      try {
        await sent
        if (attempt.ending !== undefined) await attempt.ending
        return job.result(attempt.parts)
      } catch (error) {
        // It was not what failed first.
        if (client.lost === undefined) await attempt.ending?.catch(() => {})
        if (attempt.again === undefined) {
          // Lost with its client, it is never answered.
          this.#unanswered.delete(attempt)
          throw error
        }
        sent = attempt.again
        attempt.again = undefined
      } finally {
        this.#inquiry.learn(client, job, attempt)
      }
    }
  }

  #sendOnce<Result>(
    client: Client,
    job: Job<Result>,
    attempt: Attempt,
    statements: PreparedStatements | undefined,
    isFirst = false
  ): Promise<void> {
    const account = this.#account
    const replay = this.#replay
    const { carried, probe } = attempt
    attempt.client = client
    attempt.ending = undefined
    const isInTransaction = carried !== undefined || client.isInTransaction
    attempt.isSplit = probe !== undefined && job.effect === 'change' && !isInTransaction
    const isBlock = job.block !== undefined && !isInTransaction && !attempt.isSplit
    attempt.isBlock = isBlock
    attempt.parts = this.#assemble(client, job, attempt)
    const effect = (isBlock && job.effectInBlock) || job.effect
    const onSubmitted = () => {
      this.#unanswered.add(attempt)
      probe?.start()
      // What was written before it has been answered since, unless it cannot end a transaction.
      const isPart = carried !== undefined || client.isInTransaction
      this.#bind(client, job, attempt, isPart)
      if (job.leavesState) {
        client.role.noteText(job.text)
        replay.taint(client, attempt)
      }
      account.written(effect, isBlock || attempt.isSplit || isPart)
      if (isBlock && account.isOpen) account.written('commit', true)
      attempt.isUnanswered = effect !== 'read' && account.isUnanswered
    }
    const refusal = () => {
      const mayBeWritten = !account.isCutOff(attempt.started, effect) && !attempt.caller?.isGone
      return mayBeWritten ? undefined : new ConnectionClosedError()
    }
    // A cancel request names a session: what may be cancelled by itself has nothing beside it.
    const isCancellable = job.signals !== undefined && job.signals.length > 0
    const isAlone = carried !== undefined || isBlock || attempt.isSplit || isCancellable
    attempt.isReading = effect === 'read'
    attempt.refusal = refusal
    attempt.isPipelined = !isAlone && mayPipeline(job, isInTransaction, attempt)
    attempt.statements = statements
    const exchange = new Exchange(attempt.parts, onSubmitted, attempt)
    exchange.isProbing = probe !== undefined
    attempt.exchange = exchange
    attempt.caller?.handed(client, exchange)
    const onAnswered = (error?: Error) => {
      this.#unanswered.delete(attempt)
      attempt.isUnanswered = false
      carried?.answered(client.isInTransaction)
      // A result that cannot be read was executed all the same.
      const isDone = error === undefined || exchange.isDone
      if ((isBlock || attempt.isSplit) && client.isInTransaction) {
        attempt.ending = this.#end(client, job, attempt, isDone)
        // Whoever waits for it has the answer to look at first.
        attempt.ending.catch(() => {})
      }
      // What is unanswered then was written with it, and this answer is not about that.
      if (effect !== 'read' || !account.isUnanswered)
        account.answered(isDone ? 'done' : 'failed', attempt.tag, client.isInTransaction)
      this.#sendAgain(client, job, attempt)
    }
    return runCancellable(client, exchange, job.signals, account, onAnswered, isFirst)
  }

  /** A COMMIT is the end of it. */
  #bind<Result>(client: Client, job: Job<Result>, attempt: Attempt, isPart: boolean): void {
    const { caller } = attempt
    if (caller === undefined) return
    const isBound = job.effect !== 'commit' && (isPart || attempt.isSplit || job.leavesState)
    caller.boundTo = isBound ? client : undefined
    caller.isInOwnTransaction = attempt.isSplit
  }

  /**
   * As it is, and before all that waits, what was not executed as it was prepared. Not what those that were written
   * behind it have overtaken: to be done after them, it would be another thing.
   */
  #sendAgain<Result>(client: Client, job: Job<Result>, attempt: Attempt): void {
    if (attempt.exchange?.isStale !== true || client.isInTransaction) return
    if (job.signals?.some(({ aborted }) => aborted)) return
    for (const other of this.#unanswered) {
      const mayCommute = attempt.isReading && other.isReading
      const isBehind = !other.isSentAgain && !other.reliesOnLost(client.statements)
      if (isBehind && !mayCommute) return
    }
    attempt.isSentAgain = true
    attempt.probe = undefined
    attempt.again = this.#sendOnce(client, job, attempt, undefined, true)
    // Whoever waits for it has the error to look at first.
    attempt.again.catch(() => {})
  }

  /**
   * Ends a transaction of our own before anything else is sent: one that failed, or one that has shown that its client
   * lives, and is committed in this second step, since a client that is found dead in the first has changed nothing.
   */
  async #end<Result>(
    client: Client,
    job: Job<Result>,
    attempt: Attempt,
    isDone: boolean
  ): Promise<void> {
    const account = this.#account
    const mayCommit = isDone && !account.isCutOff(attempt.started, 'commit')
    const part = new ControlPart(mayCommit ? 'COMMIT' : 'ROLLBACK')
    const onSubmitted = () => {
      if (!mayCommit) return
      if (attempt.caller !== undefined) attempt.caller.boundTo = undefined
      account.written('commit', true)
      attempt.isUnanswered = account.isUnanswered
    }
    await client.runFirst(new Exchange([part], onSubmitted), error => {
      attempt.isUnanswered = false
      account.answered(error ? 'failed' : 'done', part.tag, client.isInTransaction)
      this.#sendAgain(client, job, attempt)
    })
    if (isDone && !mayCommit) throw new ConnectionClosedError()
  }

  #assemble<Result>(
    client: Client,
    job: Job<Result>,
    { carried, isBlock, isSplit }: Attempt
  ): Part[] {
    const timeLeft = this.#stop.timeLeft
    const parts = job.parts()
    if (carried?.hasOnlyRead && carried.level === undefined && client.transaction.isLevelDue)
      parts.unshift(new IsolationPart(client.transaction))
    if (carried) parts.unshift(...beginning(carried.begin, timeLeft))
    const isInTransaction = carried !== undefined || client.isInTransaction
    if (this.#inquiry.isNeeded(client, job, isInTransaction))
      parts.push(new EvidencePart(client.server))
    const begin = isSplit ? 'BEGIN' : job.block
    if (begin !== undefined && (isSplit || isBlock)) {
      parts.unshift(...beginning(begin, timeLeft))
      parts.push(...unlimited(timeLeft))
      if (isBlock) parts.push(new ControlPart('COMMIT'))
    }
    // In a failed transaction it would be refused, and have COMMIT skipped.
    if (job.effect === 'commit' && client.transaction.value === 'T')
      parts.unshift(...unlimited(timeLeft))
    return parts
  }
}

/**
 * Whether others may be written before it is answered, and it before they are: where all that can come of it is known
 * beforehand. What begins, ends or leaves behind something decides what those after it are part of.
 */
function mayPipeline<Result>(
  job: Job<Result>,
  isInTransaction: boolean,
  attempt: Attempt
): boolean {
  if (job.leavesState) return false
  if (job.effect === 'read') return true
  // Behind a read that is to show whether the client lives, a write would be in doubt if it does not.
  if (job.effect !== 'change' || !attempt.isVerified) return false
  return isInTransaction || attempt.evidence !== undefined
}
