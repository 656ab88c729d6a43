import type { Connection } from 'pg'
import { PgQuery } from './parts.js'

const submitWithPg: unknown = Reflect.get(PgQuery.prototype, 'submit')

/**
 * A text of several statements: only the simple query protocol takes it. It may begin and end transactions as it
 * likes, so that nothing can ride with it (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT).
 */
export class Script extends PgQuery {
  readonly #onSubmitted: () => void
  isSubmitted = false

  constructor(text: string, onSubmitted: () => void) {
    super({ text })
    this.#onSubmitted = onSubmitted
  }

  submit(connection: Connection): Error | null {
    const refusal: unknown =
      typeof submitWithPg === 'function' ? submitWithPg.call(this, connection) : undefined
    if (refusal instanceof Error) return refusal
    this.isSubmitted = true
    this.#onSubmitted()
    return null
  }
}
