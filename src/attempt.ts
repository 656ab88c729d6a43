import type { Caller } from './caller.js'
import type { Client } from './client/client.js'
import { EvidencePart } from './client/evidence.js'
import type { Exchange, ExchangeOptions } from './client/exchange.js'
import { ControlPart, type Part } from './client/parts.js'
import { QueryPart } from './client/query-part.js'
import type { PreparedStatements } from './client/statements.js'
import type { OpenTransaction } from './open-transaction.js'
import type { Probe } from './session-host.js'

/** What a backend says instead of beginning, or finishing, what it was sent: shut down, or idle for too long. */
const SAID_BEFORE_COMMIT: ReadonlySet<unknown> = new Set(['57P01', '25P03', '57P05'])

/** One try to run a job. */
export class Attempt implements ExchangeOptions {
  client: Client | undefined
  exchange: Exchange | undefined
  parts: readonly Part[] = []
  /** When its statement was started, by the account's count. */
  readonly started: number
  /** The transaction whose BEGIN it carries. */
  readonly carried: OpenTransaction | undefined
  /** Who waits for it, if not for as long as it takes. */
  readonly caller: Caller | undefined
  /** It is to show whether its client lives. */
  probe: Probe | undefined
  /** Its client was known to live when it was sent. */
  isVerified = true
  /** It has BEGIN and COMMIT of its own: under one Sync, or split, so that COMMIT comes when the rest is answered. */
  isBlock = false
  isSplit = false
  /** What ends that, where it is left open by the answer. */
  ending: Promise<void> | undefined
  /** The same, sent once more: it was not executed as it was prepared. */
  again: Promise<void> | undefined
  isSentAgain = false
  isReading = false
  /** How its exchange is sent. */
  refusal: (() => Error | undefined) | undefined
  isPipelined = false
  statements: PreparedStatements | undefined
  /** It wrote an effect, or a COMMIT, and no answer has come. */
  isUnanswered = false

  constructor(started: number, carried?: OpenTransaction, caller?: Caller) {
    this.started = started
    this.carried = carried
    this.caller = caller
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

  /** Whether it will fail, since something that it executes as prepared is not there any more. */
  reliesOnLost(statements: PreparedStatements | undefined): boolean {
    return this.parts.some(part => {
      const isPrepared = part instanceof QueryPart && !part.isParsed
      return isPrepared && part.name !== undefined && statements?.isLost(part.name) === true
    })
  }

  /** What was learned about the transaction while it was open. */
  get evidence(): EvidencePart | undefined {
    return this.parts.find((part): part is EvidencePart => part instanceof EvidencePart)
  }

  /**
   * The backend itself said that it goes, before the statement was complete: with the extended protocol the commit comes
   * after that, and so does a COMMIT of its own, which is the last of its parts.
   */
  wasStoppedBeforeCommit(error: unknown): boolean {
    const isTold = error instanceof Error && SAID_BEFORE_COMMIT.has(Reflect.get(error, 'code'))
    if (!isTold && this.client?.hasSaidItsLast !== true) return false
    return this.parts.some(part => part instanceof QueryPart && !part.isComplete)
  }
}
