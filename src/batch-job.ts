import type { QueryConfig, QueryResult } from 'pg'
import type { Effect } from './account.js'
import type { Part } from './client/parts.js'
import { QueryPart } from './client/query-part.js'
import { TransactionStateError } from './errors.js'
import type { Job } from './job.js'
import { isPlain, isQuery, resultOf } from './statement-job.js'
import { type StatementKind, statementKind } from './statement-kind.js'

/** Several statements of the application under one Sync: one round trip, and outside of a transaction one of their own. */
export class BatchJob implements Job<QueryResult[]> {
  readonly text: string
  readonly effect: Effect
  readonly block: string
  readonly effectInBlock: Effect | undefined
  readonly isRepeatable: boolean
  readonly isPlainRead: boolean
  readonly leavesState: boolean
  readonly signals: readonly AbortSignal[] | undefined
  readonly kinds: readonly StatementKind[]
  readonly #configs: readonly QueryConfig[]

  /** @throws {TransactionStateError} one of them cannot be part of a batch, or asks for what only all of it can have */
  constructor(configs: readonly QueryConfig[], isReadOnly: boolean, signal?: AbortSignal) {
    const kinds = configs.map(({ text }) => statementKind(text ?? ''))
    configs.forEach(assertNoOptions)
    kinds.forEach(assertMayBePart)
    this.#configs = configs
    this.kinds = kinds
    this.text = configs.map(({ text }) => text).join('; ')
    this.isPlainRead = kinds.every(({ kind }) => kind === 'read')
    this.effect = this.isPlainRead || isReadOnly ? 'read' : 'change'
    this.block = isReadOnly ? 'BEGIN READ ONLY' : 'BEGIN'
    this.effectInBlock = isReadOnly ? 'read' : undefined
    this.isRepeatable = kinds.every(({ kind }) => kind !== 'other')
    this.leavesState = !this.isRepeatable
    this.signals = signal && [signal]
  }

  parts(): Part[] {
    return this.#configs.map(
      (config, index) => new QueryPart(config, undefined, isPlain(this.kinds[index]))
    )
  }

  result(parts: readonly Part[]): QueryResult[] {
    return parts.filter(isQuery).map(resultOf)
  }
}

function assertMayBePart({ control, several }: StatementKind): void {
  if (control === undefined && !several) return
  throw new TransactionStateError(
    'A batch takes single statements, and no BEGIN, COMMIT or savepoint: it is one transaction'
  )
}

/** They would be without effect: all of a batch goes at once. */
function assertNoOptions(config: object): void {
  const option = ['signal', 'timeout', 'readOnly'].find(
    name => Reflect.get(config, name) !== undefined
  )
  if (option === undefined) return
  throw new TransactionStateError(
    `A statement of a batch takes no ${option}: use transaction(fn, { signal, readOnly }), or query()`
  )
}
