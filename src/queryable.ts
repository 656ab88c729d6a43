import type {
  QueryArrayConfig,
  QueryArrayResult,
  QueryConfig,
  QueryResult,
  QueryResultRow,
  Submittable
} from 'pg'

/** What this package adds to `pg`'s configs. */
export interface StatementOptions {
  /**
   * Have the server refuse any write: outside of a transaction it runs in a READ ONLY one of its own, still in one
   * round trip. Default: what the route's `config.db.readOnly` says.
   */
  readonly readOnly?: boolean | undefined
  /**
   * Cancels the statement on the server, or calls off its wait for a client; it rejects with the signal's reason. A
   * COMMIT is not cancelled.
   */
  readonly signal?: AbortSignal | undefined
  /** Seconds after which it is cancelled, waiting included; it rejects with {@link DeadlineError}. Default: none. */
  readonly timeout?: number | undefined
}

export interface StatementConfig extends QueryConfig, StatementOptions {}

/** Each row as an array: `rowMode`. */
export interface ArrayStatementConfig extends QueryArrayConfig, StatementOptions {}

/** What runs statements: an engine, a connection, a transaction. The overloads are `pg`'s. */
export interface Queryable {
  /** Runs one statement. Resolves, or rejects, when the server is ready for the next one. */
  query<Row extends unknown[] = unknown[]>(
    config: ArrayStatementConfig,
    values?: unknown[]
  ): Promise<QueryArrayResult<Row>>
  query<Row extends QueryResultRow = QueryResultRow>(
    textOrConfig: string | StatementConfig,
    values?: unknown[]
  ): Promise<QueryResult<Row>>
}

/** A queryable that holds one session, on which a cursor or a COPY can stay open. */
export interface SessionQueryable extends Queryable {
  query<Row extends unknown[] = unknown[]>(
    config: ArrayStatementConfig,
    values?: unknown[]
  ): Promise<QueryArrayResult<Row>>
  query<Row extends QueryResultRow = QueryResultRow>(
    textOrConfig: string | StatementConfig,
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
    | undefined
  readonly readOnly?: boolean | undefined
  /** Only of effect with SERIALIZABLE and `readOnly`. */
  readonly deferrable?: boolean | undefined
  /**
   * How often `fn` may be run again, after a serialization failure, a deadlock, or a disconnect that left nothing.
   * What `fn` does besides its statements is then done again too. Outermost transactions only. Default: 0.
   */
  readonly retries?: number | undefined
  /**
   * Cancels the statement that runs, and refuses later ones; the transaction is rolled back and rejects with the
   * signal's reason. Once COMMIT is sent, it is too late.
   */
  readonly signal?: AbortSignal | undefined
}
