import pg, { type Connection, type QueryConfig } from 'pg'

/** What `pg` calls a query's outcome: an error, or one result, or several for a text of several statements. */
export type Answer = (error: Error | null | undefined, result: unknown) => void

/** The part of `pg.Query` that its type declaration leaves out; a test holds it against the installed `pg`. */
interface QueryInternals {
  callback: Answer
  submit(connection: Connection): Error | null
  handleError(error: Error, connection: Connection): void
}

const Query = pg.Query as unknown as new (config: QueryConfig, values?: unknown[]) => QueryInternals

/** A statement that knows whether any of it was written to the socket. */
export class Statement extends Query {
  /** Once true, the server may have seen the statement, and will answer it with a ReadyForQuery. */
  isSubmitted = false
  readonly #onSubmitted: (() => void) | undefined

  constructor(
    config: QueryConfig,
    values: unknown[] | undefined,
    onSubmitted: (() => void) | undefined,
    answer: Answer
  ) {
    super(config, values)
    this.#onSubmitted = onSubmitted
    this.callback = answer
  }

  override submit(connection: Connection): Error | null {
    const refusal = super.submit(connection)
    if (refusal) return refusal
    this.isSubmitted = true
    this.#onSubmitted?.()
    return null
  }
}
