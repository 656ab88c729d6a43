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
import type { OpenTransaction } from './open-transaction.js'
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
    try {
      return await this.#sendOnce(client, job, attempt, client.statements)
    } catch (error) {
      const isStale = attempt.exchange?.isStale === true && client.lost === undefined
      if (!isStale || client.isInTransaction) throw error
      attempt.probe = undefined
      return this.#sendOnce(client, job, attempt, undefined)
    }
  }

  async #sendOnce<Result>(
    client: Client,
    job: Job<Result>,
    attempt: Attempt,
    statements: PreparedStatements | undefined
  ): Promise<Result> {
    const { account, inquiry, replay } = this.#parts
    const { carried } = attempt
    attempt.client = client
    const isInTransaction = carried !== undefined || client.isInTransaction
    const isBlock = job.block !== undefined && !isInTransaction
    attempt.parts = this.#assemble(client, job, carried, isBlock)
    const effect = (isBlock && job.effectInBlock) || job.effect
    const onSubmitted = () => {
      attempt.probe?.start()
      if (job.leavesState) {
        client.role.noteText(job.text)
        replay.taint(client, attempt)
      }
      account.written(effect, isBlock || isInTransaction)
      if (isBlock && account.isOpen) account.written('commit', true)
      attempt.isUnanswered = effect !== 'read' && account.isUnanswered
    }
    const refusal = () => {
      return account.isCutOff(attempt.started, effect) ? new ConnectionClosedError() : undefined
    }
    // A cancel request names a session: what may be cancelled by itself has nothing beside it.
    const isCancellable = job.signals !== undefined && job.signals.length > 0
    const isAlone = carried !== undefined || isBlock || attempt.probe !== undefined || isCancellable
    const isPipelined = !isAlone && mayPipeline(job, isInTransaction, attempt)
    const options = { refusal, isPipelined, statements }
    attempt.exchange = new Exchange(attempt.parts, onSubmitted, options)
    attempt.exchange.isProbing = attempt.probe !== undefined
    try {
      await runCancellable(client, attempt.exchange, job.signals, account, error => {
        attempt.isUnanswered = false
        carried?.answered(client.isInTransaction)
        // What is unanswered then was written with it, and this answer is not about that.
        if (effect === 'read' && account.isUnanswered) return
        // A result that cannot be read was executed all the same.
        const isDone = error === undefined || attempt.exchange?.isDone === true
        account.answered(isDone ? 'done' : 'failed', attempt.tag, client.isInTransaction)
      })
      return job.result(attempt.parts)
    } catch (error) {
      if (client.lost === undefined && isBlock && client.isInTransaction) await rollback(client)
      throw error
    } finally {
      inquiry.learn(client, job, attempt)
    }
  }

  #assemble<Result>(
    client: Client,
    job: Job<Result>,
    carried: OpenTransaction | undefined,
    isBlock: boolean
  ): Part[] {
    const timeLeft = this.#parts.timeLeft()
    const parts = job.parts()
    if (carried) parts.unshift(...beginning(carried.begin, timeLeft))
    const isInTransaction = carried !== undefined || client.isInTransaction
    if (this.#parts.inquiry.isNeeded(client, job, isInTransaction))
      parts.push(new EvidencePart(client.server))
    if (isBlock && job.block) parts.unshift(...beginning(job.block, timeLeft))
    if (isBlock) parts.push(...unlimited(timeLeft), new ControlPart('COMMIT'))
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
  return job.effect === 'change' && (isInTransaction || attempt.evidence !== undefined)
}
