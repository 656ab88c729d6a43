import type { Account } from './account.js'
import type { Attempt } from './attempt.js'
import type { Client } from './client/client.js'
import type { Evidence } from './client/evidence.js'
import type { Doubt } from './doubt.js'
import { Failure } from './failure.js'
import type { Job } from './job.js'

export interface InquiryHost {
  /** None where `resolve_doubt` is off, or the server does not let us ask. */
  doubt(): Doubt | undefined
}

/** What a connection can ask about the transaction it is in, and what it finds out when the answer to it is lost. */
export class Inquiry {
  readonly #account: Account
  readonly #host: InquiryHost
  readonly #stop: { readonly deadline: number | undefined }
  #known: { client: Client; evidence: Evidence } | undefined

  /** `stop` knows by when the request is to be answered, if it is limited. */
  constructor(
    account: Account,
    host: InquiryHost,
    stop: { readonly deadline: number | undefined }
  ) {
    this.#account = account
    this.#host = host
    this.#stop = stop
  }

  /** Whether the job is to ask for its transaction's id in its own flush. */
  isNeeded<Result>(client: Client, job: Job<Result>, isInTransaction: boolean): boolean {
    if (this.#host.doubt() === undefined) return false
    if (!isInTransaction) return job.effect === 'change'
    // COPY takes what comes behind it for data.
    if (this.#about(client) !== undefined || /\bcopy\b/i.test(job.text)) return false
    return job.effect === 'change' || job.effect === 'command'
  }

  /** Keeps what an attempt has learned for as long as its transaction goes on. */
  learn<Result>(client: Client, job: Job<Result>, attempt: Attempt): void {
    const evidence = attempt.evidence?.read(client.pid)
    client.server ??= attempt.evidence?.server
    // A COMMIT AND CHAIN leaves the client in a transaction, and in another one.
    const isOver = job.endsTransaction === true || !client.isInTransaction
    if (client.lost === undefined && isOver) this.#known = undefined
    else if (evidence) this.#known = { client, evidence }
  }

  /** Whether an attempt whose answer was lost is known to have been committed all the same. */
  async isCommitted<Result>(
    failure: unknown,
    job: Job<Result>,
    attempt: Attempt
  ): Promise<boolean> {
    const account = this.#account
    if (!(failure instanceof Failure) || attempt.client?.lost === undefined) return false
    if (!attempt.isUnanswered || account.isUntracked) return false
    if (job.effect === 'change' && attempt.wasStoppedBeforeCommit(failure.error)) {
      account.resolved('aborted')
      return false
    }
    // What has asked for an id is not about the transaction of another statement.
    const { client } = attempt
    const evidence = attempt.evidence ? attempt.evidence.read(client.pid) : this.#about(client)
    const verdict = evidence && (await this.#host.doubt()?.resolve(evidence, this.#stop.deadline))
    if (verdict === undefined || verdict === 'unknown') return false
    account.resolved(verdict)
    return verdict === 'committed'
  }

  /** Another client's is about another transaction. */
  #about(client: Client): Evidence | undefined {
    return this.#known?.client === client ? this.#known.evidence : undefined
  }
}
