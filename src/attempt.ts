import type { Client } from './client/client.js'
import { EvidencePart } from './client/evidence.js'
import type { Exchange } from './client/exchange.js'
import { ControlPart, type Part, QueryPart } from './client/parts.js'
import type { OpenTransaction } from './open-transaction.js'
import type { Probe } from './session-host.js'

/** One try to run a job. */
export class Attempt {
  client: Client | undefined
  exchange: Exchange | undefined
  parts: readonly Part[] = []
  /** When its statement was started, by the account's count. */
  readonly started: number
  /** The transaction whose BEGIN it carries. */
  readonly carried: OpenTransaction | undefined
  /** It is to show whether its client lives. */
  probe: Probe | undefined
  /** It wrote an effect, or a COMMIT, and no answer has come. */
  isUnanswered = false

  constructor(started: number, carried?: OpenTransaction) {
    this.started = started
    this.carried = carried
  }

  /** Whether the server knew of it: only then can it have had an effect. */
  get isSubmitted(): boolean {
    return this.exchange?.isSubmitted ?? false
  }

  /** The command tag of what was run last. */
  get tag(): string | undefined {
    const last = this.parts.findLast(part => !(part instanceof EvidencePart))
    if (last instanceof ControlPart || last instanceof QueryPart) return last.tag
    return undefined
  }

  /** What was learned about the transaction while it was open. */
  get evidence(): EvidencePart | undefined {
    return this.parts.find((part): part is EvidencePart => part instanceof EvidencePart)
  }

  /** Makes results of what has arrived, though the answer broke off behind it. */
  finish(): void {
    this.exchange?.collect()
  }

  /**
   * The backend itself said that it was told to go, before the statement was complete: with the extended protocol
   * the commit comes after that.
   */
  wasStoppedBeforeCommit(error: unknown): boolean {
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== '57P01') return false
    if (this.parts.some(part => part instanceof ControlPart)) return false
    return this.parts.some(part => part instanceof QueryPart && !part.isComplete)
  }
}
