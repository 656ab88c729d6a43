import type { QueryConfig, QueryResult } from 'pg'
import { type Effect, effectOf } from './account.js'
import type { Part } from './client/parts.js'
import { QueryPart } from './client/query-part.js'
import type { Job } from './job.js'
import type { StatementKind } from './statement-kind.js'

/** What counts for a statement besides its text. */
export interface StatementCircumstances {
  /** READ ONLY was asked for it. */
  readonly isReadOnly: boolean
  /** It is part of a READ ONLY transaction of ours. */
  readonly isKept: boolean
  readonly isReadOnlyByHand: boolean
  readonly signals: readonly AbortSignal[] | undefined
}

/** One statement of the application, to be delivered. */
export class StatementJob implements Job<QueryResult> {
  readonly text: string
  readonly effect: Effect
  readonly block: string | undefined
  readonly effectInBlock: Effect | undefined
  readonly isRepeatable: boolean
  readonly isPlainRead: boolean
  readonly leavesState: boolean
  readonly endsTransaction: boolean
  readonly isReadOnlyByHand: boolean
  readonly signals: readonly AbortSignal[] | undefined
  readonly #config: QueryConfig
  readonly #values: unknown[] | undefined
  readonly #isPlain: boolean

  constructor(
    config: QueryConfig,
    values: unknown[] | undefined,
    kind: StatementKind,
    { isKept, isReadOnly, isReadOnlyByHand, signals }: StatementCircumstances
  ) {
    this.#config = config
    this.#values = values
    this.#isPlain = isPlain(kind)
    this.text = config.text
    // By its name alone it may be a COMMIT.
    const effect = config.text === undefined ? 'untracked' : effectOf(kind)
    this.effect = isKept ? 'read' : effect
    this.block = isReadOnly ? 'BEGIN READ ONLY' : undefined
    this.effectInBlock = isReadOnly ? 'read' : undefined
    this.isRepeatable = isReadOnly || this.#isPlain
    this.isPlainRead = kind.kind === 'read' && config.text !== undefined
    this.leavesState = kind.kind === 'other' || kind.kind === 'control'
    this.endsTransaction = kind.control === 'commit' || kind.control === 'rollback'
    this.isReadOnlyByHand = isReadOnlyByHand
    this.signals = signals
  }

  parts(): Part[] {
    return [new QueryPart(this.#config, this.#values, this.#isPlain)]
  }

  result(parts: readonly Part[]): QueryResult {
    const query = parts.find(isQuery)
    return query?.result === undefined ? emptyResult('COMMIT') : resultOf(query)
  }
}

/** A plain read or plain DML: nothing but its effect comes of it, and its plan is worth keeping. */
export function isPlain(kind: StatementKind | undefined): boolean {
  return kind?.kind === 'read' || kind?.kind === 'write'
}

export function isQuery(part: Part): part is QueryPart {
  return part instanceof QueryPart
}

export function resultOf(part: QueryPart): QueryResult {
  return part.result as QueryResult
}

export function emptyResult(command: string): QueryResult {
  return { command, rowCount: null, oid: 0, rows: [], fields: [] }
}
