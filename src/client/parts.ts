import type { PreparedStatements } from './statements.js'
import type { CommandCompleteMessage, DataRowMessage, RowDescriptionMessage, Wire } from './wire.js'

/** One statement within an exchange: it writes its messages, and is told the server's answers until it is complete. */
export interface Part {
  /** The name under which the server is to keep it prepared, if any. */
  readonly name: string | undefined
  readonly text: string
  /** What is wrong with it, found before anything is written; `siblings` are all parts of the exchange. */
  fault(wire: Wire, siblings: readonly Part[]): Error | undefined
  /** Writes it without a Sync, when none of its exchange has a fault. */
  write(wire: Wire, statements: PreparedStatements | undefined): void
  onRowDescription(message: RowDescriptionMessage): void
  onDataRow(message: DataRowMessage): void
  /** CommandComplete or EmptyQueryResponse: it is complete. */
  onComplete(message: CommandCompleteMessage | undefined): void
}

/** A statement of ours without parameters, of whose answer only the tag matters: BEGIN, COMMIT, SET LOCAL. */
export class ControlPart implements Part {
  readonly name = undefined
  readonly text: string
  /** The command tag of its answer. */
  tag: string | undefined

  constructor(text: string) {
    this.text = text
  }

  fault(): undefined {}

  write(wire: Wire): void {
    wire.parse({ text: this.text })
    wire.bind({})
    wire.execute({})
  }

  onRowDescription(): void {}
  onDataRow(_message: DataRowMessage): void {}

  onComplete(message: CommandCompleteMessage | undefined): void {
    this.tag = message?.text
  }
}
