import type { QueryResult } from 'pg'
import type { Account } from './account.js'
import { Attempt } from './attempt.js'
import type { Client } from './client/client.js'
import { type Evidence, EvidencePart } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { ControlPart, type Part } from './client/parts.js'
import type { Doubt } from './doubt.js'
import { Failure } from './failure.js'
import type { Job } from './job.js'
import type { OpenTransaction } from './open-transaction.js'
import type { ReplayBudget } from './replay.js'
import { runScript } from './run-script.js'
import type { Session } from './session.js'
import { statementKind } from './statement-kind.js'

export interface DeliveryParts {
  readonly session: Session
  readonly account: Account
  readonly budget: ReplayBudget
  /** None where `resolve_doubt` is off, or the server does not let us ask. */
  readonly doubt: () => Doubt | undefined
  onReplay(text: string, error: unknown): void
}

const MAX_REPLAYS = 2

/**
 * Brings jobs to the server, and makes the best of it when the session is lost on the way: a commit whose answer was
 * lost is asked about, and what is known not to have happened is done again.
 */
export class Delivery {
  readonly #parts: DeliveryParts
  /** The client that carries session state of this connection's own, and what made it: it cannot be gone on with on another. */
  #tainted: { client: Client; by: Attempt | undefined } | undefined
  /** Deliveries that have not settled: what is started behind them is not run again without them. */
  #running = 0
  /** What can be asked about the transaction that this client is in. */
  #evidence: { client: Client; evidence: Evidence } | undefined
  transaction: OpenTransaction | undefined

  constructor(parts: DeliveryParts) {
    this.#parts = parts
  }

  /** @throws the error as the application is to see it */
  deliver<Result>(job: Job<Result>): Promise<Result> {
    return this.#inTurn(async carried => {
      const { session } = this.#parts
      const isReadOnly =
        job.effectInBlock === 'read' ||
        job.isReadOnlyByHand === true ||
        this.transaction?.isReadOnly === true
      const isBehind = this.#running > 0
      this.#running += 1
      try {
        for (let replays = 0; ; replays += 1) {
          const attempt = new Attempt()
          const send = (client: Client) => this.#send(client, job, attempt, carried)
          try {
            return await session.attempt(send, { isReadOnly })
          } catch (failure) {
            if (await this.#isCommitted(failure, job, attempt)) return job.result(attempt.parts)
            const mayReplay = replays < MAX_REPLAYS && (!isBehind || job.effect === 'read')
            if (mayReplay && this.#mayReplay(failure, job, attempt)) continue
            throw session.explain(failure, job.text)
          }
        }
      } finally {
        this.#running -= 1
      }
    })
  }

  /** Makes the client ready for a query of a library's own, in front of which nothing can ride. */
  async prepareFor(client: Client, text: string | undefined): Promise<void> {
    await this.#inTurn(carried => this.#beginAlone(client, carried))
    if (text !== undefined && statementKind(text).kind === 'read') return
    this.#taint(client, undefined)
    const { isInTransaction } = client
    this.#parts.account.written(isInTransaction ? 'change' : 'untracked', isInTransaction)
  }

  /** Runs a text of several statements, which may end the transaction that it is part of; that is refused afterwards. */
  deliverScript(text: string): Promise<QueryResult> {
    const { account, session } = this.#parts
    const { transaction } = this
    const run = async (client: Client, carried: OpenTransaction | undefined) => {
      await this.#beginAlone(client, carried)
      this.#taint(client, undefined)
      const written = () => account.written('untracked', client.isInTransaction)
      return runScript(client, text, written, transaction && (error => session.giveUp(error)))
    }
    return this.#inTurn(carried => session.use(client => run(client, carried), { statement: text }))
  }

  /** Runs work with the open transaction if it is the one to begin it, and after whatever begins it if it is not. */
  async #inTurn<Result>(
    work: (carried: OpenTransaction | undefined) => Promise<Result>
  ): Promise<Result> {
    const { transaction } = this
    if (transaction === undefined) return work(undefined)
    transaction.enter()
    try {
      if (transaction.isBegun || !(await transaction.claim())) return await work(undefined)
      try {
        return await work(transaction)
      } finally {
        transaction.release()
      }
    } finally {
      transaction.leave()
    }
  }

  async #beginAlone(client: Client, carried: OpenTransaction | undefined): Promise<void> {
    this.#parts.session.assertNothingPending()
    if (carried === undefined) return
    const begin = new Exchange([new ControlPart(carried.begin)], () => {})
    await client.run(begin, () => this.#hasBegun(client, carried))
  }

  /** BEGIN was answered. To be asked with the answer: the session may be lost with the next message. */
  #hasBegun(client: Client, transaction: OpenTransaction): void {
    transaction.isBegun = client.isInTransaction
    transaction.isRefused = !client.isInTransaction
  }

  /** The session has state of this connection's own from now on. */
  #taint(client: Client, by: Attempt | undefined): void {
    if (this.#tainted?.client !== client) this.#tainted = { client, by }
  }

  async #send<Result>(
    client: Client,
    job: Job<Result>,
    attempt: Attempt,
    carried: OpenTransaction | undefined
  ): Promise<Result> {
    const { account, budget, session } = this.#parts
    attempt.client = client
    attempt.carried = carried
    session.assertNothingPending()
    const isInTransaction = carried !== undefined || client.isInTransaction
    const isBlock = job.block !== undefined && !isInTransaction
    attempt.parts = this.#assemble(client, job, carried, isBlock)
    attempt.exchange = new Exchange(attempt.parts, () => {
      if (job.leavesState) this.#taint(client, attempt)
      const effect = (isBlock && job.effectInBlock) || job.effect
      account.written(effect, isBlock || isInTransaction)
      if (isBlock && account.isOpen) account.written('commit', true)
      attempt.isUnanswered = account.isUnanswered
    })
    try {
      await client.run(attempt.exchange, error => {
        attempt.isUnanswered = false
        if (carried) this.#hasBegun(client, carried)
        // A result that cannot be read was executed all the same.
        const isDone = error === undefined || attempt.exchange?.isDone === true
        account.answered(isDone ? 'done' : 'failed', attempt.tag, client.isInTransaction)
      })
      budget.succeeded()
      return job.result(attempt.parts)
    } catch (error) {
      if (client.lost === undefined && isBlock && client.isInTransaction) await rollback(client)
      throw error
    } finally {
      this.#learn(client, job, attempt)
    }
  }

  #assemble<Result>(
    client: Client,
    job: Job<Result>,
    carried: OpenTransaction | undefined,
    isBlock: boolean
  ): Part[] {
    const parts = job.parts()
    if (carried) parts.unshift(new ControlPart(carried.begin))
    if (this.#needsEvidence(client, job, carried !== undefined || client.isInTransaction))
      parts.push(new EvidencePart(client.server))
    if (isBlock && job.block) parts.unshift(new ControlPart(job.block))
    if (isBlock) parts.push(new ControlPart('COMMIT'))
    return parts
  }

  #needsEvidence<Result>(client: Client, job: Job<Result>, isInTransaction: boolean): boolean {
    if (this.#parts.doubt() === undefined) return false
    if (!isInTransaction) return job.effect === 'change'
    // COPY takes what comes behind it for data.
    if (this.#evidenceOf(client) !== undefined || /\bcopy\b/i.test(job.text)) return false
    return job.effect === 'change' || job.effect === 'command'
  }

  #learn<Result>(client: Client, job: Job<Result>, attempt: Attempt): void {
    const evidence = attempt.evidence?.read(client.pid)
    client.server ??= attempt.evidence?.server
    // A COMMIT AND CHAIN leaves the client in a transaction, and in another one.
    const isOver = job.endsTransaction === true || !client.isInTransaction
    if (client.lost === undefined && isOver) this.#evidence = undefined
    else if (evidence) this.#evidence = { client, evidence }
  }

  /** Another client's is about another transaction. */
  #evidenceOf(client: Client | undefined): Evidence | undefined {
    return this.#evidence?.client === client ? this.#evidence?.evidence : undefined
  }

  /** Whether an attempt whose answer was lost is known to have been committed all the same. */
  async #isCommitted<Result>(
    failure: unknown,
    job: Job<Result>,
    attempt: Attempt
  ): Promise<boolean> {
    const { account, doubt } = this.#parts
    if (!(failure instanceof Failure) || attempt.client?.lost === undefined) return false
    if (!attempt.isUnanswered || account.isUntracked) return false
    const evidence = this.#evidenceOf(attempt.client)
    if (job.effect === 'change' && attempt.wasStoppedBeforeCommit(failure.error)) {
      account.resolved('aborted')
      return false
    }
    const verdict = evidence && (await doubt()?.resolve(evidence))
    if (verdict === undefined || verdict === 'unknown') return false
    account.resolved(verdict)
    if (verdict === 'aborted') return false
    this.#parts.session.isPendingRollback = false
    attempt.finish()
    return true
  }

  /** Only what is known to have had no effect, where the session had no state of its own, and within the budget. */
  #mayReplay<Result>(failure: unknown, job: Job<Result>, attempt: Attempt): boolean {
    const { account, budget, onReplay, session } = this.#parts
    if (!(failure instanceof Failure) || !failure.isDisconnect || session.isEnded) return false
    if (this.#tainted?.client === attempt.client && this.#tainted?.by !== attempt) return false
    if (account.isInDoubt) return false
    const isFirst = attempt.carried?.isBegun === false
    const isAlone = !session.isPendingRollback && job.isRepeatable
    if (!isFirst && !isAlone) return false
    if (!budget.take()) return false
    session.isPendingRollback = false
    onReplay(job.text, failure.error)
    return true
  }
}

async function rollback(client: Client): Promise<void> {
  await client.run(new Exchange([new ControlPart('ROLLBACK')], () => {}))
}
