import type { Account } from './account.js'
import type { Attempt } from './attempt.js'
import { runCancellable } from './cancellable.js'
import type { Client } from './client/client.js'
import { EvidencePart } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { ControlPart, type Part } from './client/parts.js'
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

  async send<Result>(client: Client, job: Job<Result>, attempt: Attempt): Promise<Result> {
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
      attempt.isUnanswered = account.isUnanswered
    }
    const refusal = () => {
      return account.isCutOff(attempt.started, effect) ? new ConnectionClosedError() : undefined
    }
    attempt.exchange = new Exchange(attempt.parts, onSubmitted, refusal)
    attempt.exchange.isProbing = attempt.probe !== undefined
    try {
      await runCancellable(client, attempt.exchange, job.signals, account, error => {
        attempt.isUnanswered = false
        carried?.answered(client.isInTransaction)
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
