import pg, { type QueryConfig } from 'pg'

/** The part of `pg.Query` that its type declaration leaves out; a test holds it against the installed `pg`. */
export interface QueryInternals {
  name: string | undefined
  text: string
  binary: unknown
  callback: (error: Error | null | undefined, result: unknown) => void
  _result: { _types: unknown }
  handleCommandComplete(message: { text: string }, wire: unknown): void
  handleReadyForQuery(wire?: unknown): void
  handleError(error: Error, wire: unknown): void
}

export const PgQuery = pg.Query as unknown as new (
  config: QueryConfig,
  values?: unknown[]
) => QueryInternals

function Descendant(): void {}
Descendant.prototype = pg.Query.prototype

/**
 * What `pg.Client` takes for a query of its own, and so lets others be sent behind it before it is answered. Nothing
 * that `pg.Query` would make for one statement is made: whoever extends this answers for every message itself.
 */
export const PgQueryDescendant = Descendant as unknown as new () => object
