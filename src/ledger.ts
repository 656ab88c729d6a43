import type { ControlCommand, StatementKind } from './statement-kind.js'

/** Control statements that a request may have sent and still have done nothing. */
const WITHOUT_EFFECT: ReadonlySet<ControlCommand> = new Set([
  'begin',
  'rollback',
  'savepoint',
  'release',
  'rollback_to',
  'set_transaction'
])

/**
 * What one request is known to have done, over all its databases. For now it knows one thing: whether any statement
 * was written to a socket. Before that nothing can have been applied; after it nobody says so yet.
 */
export class Ledger {
  #hasWritten = false

  /** A statement was handed to the socket: from here on the server may have executed it. */
  statementWritten(kind?: StatementKind): void {
    if (kind?.control !== undefined && WITHOUT_EFFECT.has(kind.control)) return
    this.#hasWritten = true
  }

  /** Whether repeating the request cannot apply anything twice. */
  get permitsRepeat(): boolean {
    return !this.#hasWritten
  }
}

const ledgers = new WeakMap<Error, Ledger>()

/** Remembers whose error it is, so that the reply is decided by what its own request has done. */
export function recordLedger(error: Error, ledger: Ledger): void {
  ledgers.set(error, ledger)
}

/** The ledger of the work that failed with this error. */
export function ledgerOf(error: Error): Ledger | undefined {
  return ledgers.get(error)
}
