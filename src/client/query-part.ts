import pg, { type QueryConfig } from 'pg'
import { exemptError } from '../disconnect.js'
import type { Part } from './parts.js'
import { PgResult, type ResultInternals, RowShape } from './pg-result.js'
import type { PreparedStatements } from './statements.js'
import type { CommandCompleteMessage, DataRowMessage, RowDescriptionMessage, Wire } from './wire.js'

/** How `pg` turns a value into what a parameter takes; also public, and also not declared. */
const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } })
  .utils

/** What a query may ask for besides what its public type says. */
interface Config extends QueryConfig {
  readonly rowMode?: unknown
  readonly binary?: unknown
}

/** @throws what the value's own conversion does, or that it gives nothing that can be sent */
function toParameter(value: unknown): unknown {
  const parameter = prepareValue(value)
  if (parameter === null || typeof parameter === 'string' || parameter instanceof Buffer)
    return parameter
  throw new TypeError(`Expected a value to become text, bytes or null, got ${typeof parameter}`)
}

function isTextual(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

/**
 * A statement of the application, in the extended protocol and without pages: its portal would need a Sync of its own
 * between them. Its result is a `pg.Result`, its values become parameters as `pg` does it.
 */
export class QueryPart implements Part {
  readonly text: string
  #values: unknown[] | undefined
  readonly #types: unknown
  readonly #rowMode: unknown
  readonly #mayPrepare: boolean
  #name: string | undefined
  #isBinary: unknown
  #result: ResultInternals | undefined
  /** Where its name is known from, if we have given it. */
  #prepared: PreparedStatements | undefined
  #isDescribed = false
  /** It has brought its own preparation along: nothing that the session has lost can make it fail. */
  isParsed = false
  /** A result that cannot be parsed. */
  error: Error | undefined
  /** The server has executed it. */
  isComplete = false
  #completion: CommandCompleteMessage | undefined

  /** `mayPrepare`: it may be given a name under which the server keeps it prepared, if it has none. */
  constructor(config: QueryConfig, values: unknown[] | undefined, mayPrepare = false) {
    const { binary, rowMode, types }: Config = config
    this.text = config.text
    this.#name = config.name
    this.#values = values || config.values
    this.#types = types
    this.#rowMode = rowMode
    this.#isBinary = binary
    this.#mayPrepare = mayPrepare && !this.#name && types === undefined
  }

  get name(): string | undefined {
    return this.#name
  }

  /** What it asked for; none until it is complete, and none if that cannot be read. */
  get result(): unknown {
    return this.isComplete && this.error === undefined ? this.#result : undefined
  }

  /** The command tag of its answer, without its counts. */
  get tag(): string | undefined {
    const text = this.#completion?.text
    const end = text?.indexOf(' ') ?? -1
    return end < 0 ? text : text?.slice(0, end)
  }

  /** What a client gives the queries it runs: its parsers of types, and whether it wants binary results. */
  adopt(types: unknown, isBinary: unknown): void {
    this.#result = new PgResult(this.#rowMode, this.#types ?? types)
    this.#isBinary ??= isBinary
  }

  fault(wire: Wire, siblings: readonly Part[]): Error | undefined {
    const { text, name } = this
    if (text === undefined && name === undefined) {
      return new Error('A query must have either text or a name')
    }
    if (!isTextual(text) || !isTextual(name)) {
      return new TypeError('The text and the name of a query must be strings')
    }
    const unsendable = this.#convertValues()
    if (unsendable !== undefined) return unsendable
    if (!name || !text) return undefined
    const first = siblings.find(part => part.name === name && part.text)
    const previous =
      (first !== this ? first?.text : undefined) ??
      wire.parsedStatements[name] ??
      wire.submittedNamedStatements[name]
    if (!previous || previous === text) return undefined
    return new Error(`Prepared statements must be unique: '${name}' has another text already`)
  }

  write(wire: Wire, statements: PreparedStatements | undefined): void {
    if (statements !== undefined && this.#mayPrepare) {
      this.#name = statements.assign(this.text, wire)
      if (this.#name !== undefined) this.#prepared = statements
    }
    this.#writeParse(wire)
    wire.bind({ statement: this.#name, values: this.#values, binary: this.#isBinary })
    const known = this.#isBinary ? undefined : this.#prepared?.shapeOf(this.#name)
    if (known === undefined) wire.describe({ type: 'P' })
    else this.#describe(known)
    wire.execute({})
  }

  onRowDescription({ fields }: RowDescriptionMessage): void {
    const result = this.#result
    if (result === undefined) return
    this.#isDescribed = true
    try {
      result.addFields(fields)
    } catch (error) {
      this.#cannotRead(error)
      return
    }
    if (!this.#isBinary) this.#prepared?.describedAs(this.#name, new RowShape(fields, result))
  }

  onDataRow({ fields }: DataRowMessage): void {
    const result = this.#result
    if (this.error !== undefined || result === undefined) return
    try {
      result.rows.push(result.parseRow(fields))
    } catch (error) {
      this.#cannotRead(error)
    }
  }

  onComplete(message: CommandCompleteMessage | undefined): void {
    this.isComplete = true
    if (!this.#isDescribed) this.#prepared?.describedAs(this.#name, new RowShape([]))
    if (message === undefined) return
    this.#result?.addCommandComplete(message)
    this.#completion = message
  }

  onCopyIn(wire: Wire): void {
    wire.sendCopyFail('No source stream defined')
  }

  /** Before anything is written: half of an exchange, without its COMMIT, could not be taken back. */
  #convertValues(): Error | undefined {
    if (!this.#values) return undefined
    if (!Array.isArray(this.#values)) return new Error('Query values must be an array')
    try {
      this.#values = this.#values.map(toParameter)
      return undefined
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error))
      exemptError(fault)
      return fault
    }
  }

  #describe(shape: RowShape): void {
    this.#isDescribed = true
    try {
      if (this.#result !== undefined) shape.applyTo(this.#result)
    } catch (error) {
      this.#cannotRead(error)
    }
  }

  /** A parser of types has thrown, or the search for it: in the middle of a socket's callback, or of what is written. */
  #cannotRead(error: unknown): void {
    this.error = error instanceof Error ? error : new Error(String(error))
  }

  #writeParse(wire: Wire): void {
    const name = this.#name
    if (name) {
      if (wire.parsedStatements[name] !== undefined) return
      if (wire.submittedNamedStatements[name] !== undefined) return
    }
    this.isParsed = true
    wire.parse({ text: this.text, name, types: this.#types })
    if (name) wire.submittedNamedStatements[name] = this.text
  }
}
