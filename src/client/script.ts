import type { Connection, QueryConfig } from 'pg'
import { PgQuery } from './pg-query.js'

const submitWithPg: unknown = Reflect.get(PgQuery.prototype, 'submit')

/**
 * A text of several statements: only the simple query protocol takes it. It may begin and end transactions as it
 * likes, so that nothing can ride with it (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
 */
export class Script extends PgQuery {
  readonly #onSubmitted: () => void
  readonly #refusal: (() => Error | undefined) | undefined
  isSubmitted = false

  /** `refusal` is asked before anything is written: what it returns is the answer. */
  constructor(
    query: string | QueryConfig,
    onSubmitted: () => void,
    refusal?: () => Error | undefined
  ) {
    const config: QueryConfig & { rowMode?: unknown } =
      typeof query === 'string' ? { text: query } : query
    const { rowMode, text, types } = config
    super({ text, rowMode, types } as QueryConfig)
    this.#onSubmitted = onSubmitted
    this.#refusal = refusal
  }

  submit(connection: Connection): Error | null {
    const refusal = this.#refusal?.()
    if (refusal) return refusal
    const fault: unknown =
      typeof submitWithPg === 'function' ? submitWithPg.call(this, connection) : undefined
    if (fault instanceof Error) return fault
    this.isSubmitted = true
    this.#onSubmitted()
    return null
  }
}
