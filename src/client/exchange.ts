import type { Connection } from 'pg'
import type { OwedCommit } from './owed-commit.js'
import { ControlPart, type Part } from './parts.js'
import { PgQueryDescendant } from './pg-query.js'
import { QueryPart } from './query-part.js'
import type { PreparedStatements } from './statements.js'
import type { CommandCompleteMessage, DataRowMessage, RowDescriptionMessage, Wire } from './wire.js'

export interface ExchangeOptions {
  /** Asked before anything is written: what it returns is the answer. */
  readonly refusal?: (() => Error | undefined) | undefined
  /** It may be written before what was written earlier is answered, and be followed before it is itself. */
  readonly isPipelined?: boolean
  /** Where its statements may be prepared. */
  readonly statements?: PreparedStatements | undefined
}

/**
 * Several statements under one Sync: one round trip and, unless one of them begins a transaction block, one
 * transaction. A statement that fails has the server skip the ones behind it. To `pg.Client` it is one query
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
 */
export class Exchange extends PgQueryDescendant {
  #parts: readonly Part[]
  readonly #onSubmitted: () => void
  readonly #options: ExchangeOptions
  #current = 0
  /** Where those begin that are not of a COMMIT taken along. */
  #own = 0
  #wire: Wire | undefined
  #owed: OwedCommit | undefined
  /** The server has executed all of it without an error, up to its end: also where a result cannot be read. */
  isDone = false
  /**
   * Ask for an answer in front of everything else: Close of the unnamed portal and a Flush, answered at once however
   * long the statements take (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
   */
  isProbing = false
  /**
   * Nothing of it was executed: a statement that we had prepared was not there, or not what it was, or a COMMIT that was
   * taken along has failed.
   */
  isStale = false
  /** Once true, the server may have seen it, and will answer with a ReadyForQuery. */
  isSubmitted = false
  callback: (error: Error | null | undefined, result: unknown) => void = () => {}
  /** Where `pg.Client` puts its parsers of types, and whether it wants binary results. */
  readonly _result: { _types: unknown } = { _types: undefined }
  binary: unknown

  constructor(parts: readonly Part[], onSubmitted: () => void, options: ExchangeOptions = {}) {
    super()
    this.#parts = parts
    this.#onSubmitted = onSubmitted
    this.#options = options
  }

  /** The part that the next answer belongs to; `pg.Client` asks for its name at ParseComplete and on errors. */
  get #part(): Part | undefined {
    return this.#parts[this.#current]
  }

  get name(): string | undefined {
    return this.#part?.name
  }

  get text(): string {
    return this.#part?.text ?? ''
  }

  /** Whether the server has executed every part. Not yet that it has committed them. */
  get isComplete(): boolean {
    return this.#current === this.#parts.length
  }

  /** It takes a COMMIT along that is still owed when it is written. */
  follow(owed: OwedCommit): void {
    this.#owed = owed
  }

  /** Not while it would rely on a statement that is still being prepared: that may fail. */
  mayOverlap(connection: Connection): boolean {
    if (this.#options.isPipelined !== true) return false
    const { submittedNamedStatements } = connection as unknown as Wire
    return this.#parts.every(({ name }) => !name || submittedNamedStatements[name] === undefined)
  }

  submit(connection: Connection): Error | null {
    const refusal = this.#options.refusal?.()
    if (refusal) return refusal
    const wire = connection as unknown as Wire
    for (const part of this.#parts) {
      const fault = part.fault(wire, this.#parts)
      if (fault) return fault
      if (part instanceof QueryPart) part.adopt(this._result._types, this.binary)
    }
    this.isSubmitted = true
    const commit = this.#owed?.take() ?? []
    if (commit.length > 0) {
      this.#own = commit.length
      this.#parts = [...commit, ...this.#parts]
    }
    const alone = this.#aloneAndSimple
    if (alone === undefined) this.#write(wire)
    else wire.query(alone.text)
    this.#wire = wire
    this.#onSubmitted()
    return null
  }

  handleRowDescription(message: RowDescriptionMessage): void {
    this.#part?.onRowDescription(message)
  }

  handleDataRow(message: DataRowMessage): void {
    this.#part?.onDataRow(message)
  }

  handleCommandComplete(message: CommandCompleteMessage): void {
    this.#part?.onComplete(message)
    this.#current += 1
  }

  handleEmptyQuery(): void {
    this.#part?.onComplete(undefined)
    this.#current += 1
  }

  handleCopyInResponse(wire: Wire): void {
    const part = this.#part
    if (!(part instanceof QueryPart)) return
    part.onCopyIn(wire)
    // The server has overlooked the first Sync while it waited for data.
    wire.sync()
  }

  handleReadyForQuery(): void {
    this.isDone = this.isComplete
    this.#owed?.answered()
    this.callback(this.#readError, undefined)
  }

  handleError(error: Error): void {
    const { name } = this
    if (this.#current < this.#own) this.isStale = true
    else if (name !== undefined && this.#wire !== undefined)
      this.isStale = this.#options.statements?.isStale(error, name, this.#wire) === true
    this.#forgetNames()
    this.callback(error, undefined)
  }

  /** It is a ROLLBACK of ours, and nothing else. */
  get isRollback(): boolean {
    return this.#aloneAndSimple?.text === 'ROLLBACK'
  }

  /** What one message says as well as four: a COMMIT, most often. */
  get #aloneAndSimple(): ControlPart | undefined {
    const [first, second] = this.#parts
    const isSimple = second === undefined && !this.isProbing
    return isSimple && first instanceof ControlPart ? first : undefined
  }

  #write(wire: Wire): void {
    const { statements } = this.#options
    wire.stream.cork()
    try {
      if (this.isProbing) {
        wire.close({ type: 'P' })
        wire.flush()
      }
      statements?.close(wire)
      for (const part of this.#parts) part.write(wire, statements)
      wire.sync()
    } finally {
      wire.stream.uncork()
    }
  }

  /** Of a result that arrived, and cannot be read. */
  get #readError(): Error | undefined {
    for (const part of this.#parts) if (part instanceof QueryPart && part.error) return part.error
    return undefined
  }

  /** What was not executed may not be prepared either, though its Parse was sent: `pg` must not take its name for known. */
  #forgetNames(): void {
    for (const { name } of this.#parts.slice(this.#current)) {
      if (name !== undefined) delete this.#wire?.submittedNamedStatements[name]
    }
  }
}
