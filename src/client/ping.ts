import type { Connection, Submittable } from 'pg'

/**
 * A bare Sync: 5 bytes out, ReadyForQuery back. No parse, no snapshot, no transaction, and the transaction status
 * stays what it was (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 */
export class Ping implements Submittable {
  /** Where `pg` looks for it, to stop the clock of its own `query_timeout`. */
  callback: (error: Error | undefined) => void

  constructor(settle: (error: Error | undefined) => void) {
    this.callback = settle
  }

  submit(connection: Connection): void {
    connection.sync()
  }

  handleReadyForQuery(): void {
    this.callback(undefined)
  }

  handleError(error: Error): void {
    this.callback(error)
  }
}
