import type { Account } from './account.js'
import type { Attempt } from './attempt.js'
import { runCancellable } from './cancellable.js'
import type { Client } from './client/client.js'
import { EvidencePart } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { ControlPart, type Part } from './client/parts.js'
import type { PreparedStatements } from './client/statements.js'
import { ConnectionClosedError } from './errors.js'
import type { Inquiry } from './inquiry.js'
import type { Job } from './job.js'
import type { Replay } from './replay.js'
import { beginning, unlimited } from './statement-timeout.js'

export interface DispatchParts {
  readonly account: Account
  readonly inquiry: Inquiry
  readonly replay: Replay
  /** Milliseconds until the request's time is up, if it is limited. */
  timeLeft(): number | undefined
}

/** Writes one try of a job to a client, with what is to ride with it, and enters in the account what becomes of it. */
export class Dispatch {
  readonly #parts: DispatchParts

  constructor(parts: DispatchParts) {
    this.#parts = parts
  }

  /** Outside of a transaction, what could not be executed as it was prepared is sent again as it is. */
  async send<Result>(client: Client, job: Job<Result>, attempt: Attempt): Promise<Result> {
    let { statements } = client
    for (;;) {
      try {
        const answer = this.#sendOnce(client, job, attempt, statements)
        await (attempt.isSplit ? this.#commitBehind(answer, client, attempt) : answer)
        return job.result(attempt.parts)
      } catch (error) {
        if (client.lost === undefined) {
          const isStale = statements !== undefined && attempt.exchange?.isStale === true
          if ((attempt.isBlock || attempt.isSplit) && client.isInTransaction) await rollback(client)
          if (!isStale || client.isInTransaction) throw error
          attempt.probe = undefined
          statements = undefined
          continue
        }
        throw error
      } finally {
        this.#parts.inquiry.learn(client, job, attempt)
      }
    }
  }

  #sendOnce<Result>(
    client: Client,
    job: Job<Result>,
    attempt: Attempt,
    statements: PreparedStatements | undefined
  ): Promise<void> {
    const { account, replay } = this.#parts
    const { carried, probe } = attempt
    attempt.client = client
    const isInTransaction = carried !== undefined || client.isInTransaction
    attempt.isSplit = probe !== undefined && job.effect === 'change' && !isInTransaction
    const isBlock = job.block !== undefined && !isInTransaction && !attempt.isSplit
    attempt.isBlock = isBlock
    attempt.parts = this.#assemble(client, job, attempt)
    const effect = (isBlock && job.effectInBlock) || job.effect
    const onSubmitted = () => {
      probe?.start()
      if (job.leavesState) {
        client.role.noteText(job.text)
        replay.taint(client, attempt)
      }
      account.written(effect, isBlock || attempt.isSplit || isInTransaction)
      if (isBlock && account.isOpen) account.written('commit', true)
      attempt.isUnanswered = effect !== 'read' && account.isUnanswered
    }
    const refusal = () => {
      return account.isCutOff(attempt.started, effect) ? new ConnectionClosedError() : undefined
    }
    // A cancel request names a session: what may be cancelled by itself has nothing beside it.
    const isCancellable = job.signals !== undefined && job.signals.length > 0
    const isAlone = carried !== undefined || isBlock || attempt.isSplit || isCancellable
    const isPipelined = !isAlone && mayPipeline(job, isInTransaction, attempt)
    const exchange = new Exchange(attempt.parts, onSubmitted, { refusal, isPipelined, statements })
    exchange.isProbing = probe !== undefined
    attempt.exchange = exchange
    return runCancellable(client, exchange, job.signals, account, error => {
      attempt.isUnanswered = false
      carried?.answered(client.isInTransaction)
      // What is unanswered then was written with it, and this answer is not about that.
      if (effect === 'read' && account.isUnanswered) return
      // A result that cannot be read was executed all the same.
      const isDone = error === undefined || exchange.isDone
      account.answered(isDone ? 'done' : 'failed', attempt.tag, client.isInTransaction)
    })
  }

  /**
   * What shows whether its client lives, and changes something, is committed in a second step: a client that turns out
   * to be dead in the first has changed nothing. Nothing that others send comes in between. If the first step has
   * failed, this COMMIT rolls it back.
   */
  async #commitBehind(answer: Promise<void>, client: Client, attempt: Attempt): Promise<void> {
    const { account } = this.#parts
    const first = attempt.exchange
    const commit = new ControlPart('COMMIT')
    const onSubmitted = () => {
      account.written('commit', true)
      attempt.isUnanswered = account.isUnanswered
    }
    const refusal = () => {
      const mayCommit = first?.isSubmitted && !account.isCutOff(attempt.started, 'commit')
      return mayCommit ? undefined : new ConnectionClosedError()
    }
    const committed = client.run<void>(new Exchange([commit], onSubmitted, { refusal }), error => {
      attempt.isUnanswered = false
      account.answered(error ? 'failed' : 'done', commit.tag, client.isInTransaction)
    })
    for (const step of await Promise.allSettled([answer, committed])) {
      if (step.status === 'rejected') throw step.reason
    }
  }

  #assemble<Result>(
    client: Client,
    job: Job<Result>,
    { carried, isBlock, isSplit }: Attempt
  ): Part[] {
    const timeLeft = this.#parts.timeLeft()
    const parts = job.parts()
    if (carried) parts.unshift(...beginning(carried.begin, timeLeft))
    const isInTransaction = carried !== undefined || client.isInTransaction
    if (this.#parts.inquiry.isNeeded(client, job, isInTransaction))
      parts.push(new EvidencePart(client.server))
    const begin = isSplit ? 'BEGIN' : job.block
    if (begin !== undefined && (isSplit || isBlock)) {
      parts.unshift(...beginning(begin, timeLeft))
      parts.push(...unlimited(timeLeft))
      if (isBlock) parts.push(new ControlPart('COMMIT'))
    }
    // In a failed transaction it would be refused, and have COMMIT skipped.
    if (job.effect === 'commit' && client.raw.getTransactionStatus() === 'T')
      parts.unshift(...unlimited(timeLeft))
    return parts
  }
}

async function rollback(client: Client): Promise<void> {
  await client.run(new Exchange([new ControlPart('ROLLBACK')], () => {}))
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
