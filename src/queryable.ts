import type {
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryResult,
  QueryResultRow,
  Submittable
} from 'pg'

/** What runs statements: an engine, a connection, a transaction. The overloads are `pg`'s. */
export interface Queryable {
  /** Runs one statement. Resolves, or rejects, when the server is ready for the next one. */
  query<Row extends unknown[] = unknown[]>(
    config: QueryArrayConfig,
    values?: unknown[]
  ): Promise<QueryArrayResult<Row>>
  query<Row extends QueryResultRow = QueryResultRow>(
    textOrConfig: string | QueryConfig,
    values?: unknown[]
  ): Promise<QueryResult<Row>>
}

/** A queryable that holds one session, on which a cursor or a COPY can stay open. */
export interface SessionQueryable extends Queryable {
  query<Row extends unknown[] = unknown[]>(
    config: QueryArrayConfig,
    values?: unknown[]
  ): Promise<QueryArrayResult<Row>>
  query<Row extends QueryResultRow = QueryResultRow>(
    textOrConfig: string | QueryConfig,
    values?: unknown[]
  ): Promise<QueryResult<Row>>
  /** Hands a cursor, a query stream or a COPY of a library to the session, and returns it. */
  query<Query extends Submittable>(submittable: Query): Query
}

/** How a transaction begins (https://www.postgresql.org/docs/current/sql-begin.html). */
export interface TransactionOptions {
  /** The engine's `isolation_level`, or the server's own, if not given. */
  readonly isolationLevel?:
    | 'READ UNCOMMITTED'
    | 'READ COMMITTED'
    | 'REPEATABLE READ'
    | 'SERIALIZABLE'
  readonly readOnly?: boolean
  /** Only of effect with SERIALIZABLE and `readOnly`. */
  readonly deferrable?: boolean
}
