import type { Effect } from './account.js'
import type { Part } from './client/parts.js'

/** What is to be run under one Sync, and what the delivery must know about it. */
export interface Job<Result> {
  readonly text: string
  readonly effect: Effect
  /** BEGIN … COMMIT around it are its own; outside of a transaction only. */
  readonly block?: string | undefined
  /** Its effect where that is READ ONLY. */
  readonly effectInBlock?: Effect | undefined
  /** It may be run again where it had no effect. */
  readonly isRepeatable: boolean
  /** A query of which its text shows that it only reads: see {@link StatementKind}. Not what is merely kept from writing. */
  readonly isPlainRead?: boolean
  /** It may leave something behind in the session: a setting, a role, a temporary table. */
  readonly leavesState: boolean
  /** COMMIT or ROLLBACK: what was learned of the transaction is not about the next one. */
  readonly endsTransaction?: boolean
  /** It is part of a transaction that the application began READ ONLY itself. */
  readonly isReadOnlyByHand?: boolean
  /** Any of these has it called off, or cancelled. */
  readonly signals?: readonly AbortSignal[] | undefined
  /** Fresh parts for each try. */
  parts(): Part[]
  /** Also called when only the answer to COMMIT is missing, and it is known to have been committed. */
  result(parts: readonly Part[]): Result
}
