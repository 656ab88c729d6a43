import { ControlPart } from './parts.js'
import type { TransactionStatus } from './transaction-status.js'
import type { DataRowMessage } from './wire.js'

/**
 * Asks for the isolation level of the transaction that it is part of, in the flush that begins it: what a BEGIN that
 * names none gets is for the session to say (`default_transaction_isolation`,
 * https://www.postgresql.org/docs/current/runtime-config-client.html).
 */
export class IsolationPart extends ControlPart {
  readonly #status: Pick<TransactionStatus, 'learn'>

  constructor(status: Pick<TransactionStatus, 'learn'>) {
    super('SHOW transaction_isolation')
    this.#status = status
  }

  override onDataRow({ fields }: DataRowMessage): void {
    this.#status.learn(fields[0] ?? undefined)
  }
}
