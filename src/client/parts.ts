import pg, { type QueryConfig } from 'pg'
import type { PreparedStatements } from './statements.js'

/** The part of `pg.Connection` that writes messages; its type declaration asks for arguments that it does not take. */
export interface Wire {
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
  readonly stream: { cork(): void; uncork(): void }
  parse(message: { text: string; name?: string; types?: unknown }): void
  bind(message: object): void
  execute(message: object): void
  flush(): void
  close(message: { type: 'P' | 'S'; name?: string }): void
  sync(): void
  query(text: string): void
}

export interface CommandCompleteMessage {
  readonly text: string
}

/** The part of `pg.Query` that its type declaration leaves out; a test holds it against the installed `pg`. */
export interface QueryInternals {
  name: string | undefined
  text: string
  values: unknown
  binary: unknown
  callback: (error: Error | null | undefined, result: unknown) => void
  _result: { _types: unknown }
  prepare(wire: Wire): void
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: CommandCompleteMessage, wire: Wire): void
  handleEmptyQuery(wire: Wire): void
  handleCopyInResponse(wire: Wire): void
  handleCopyData(message: unknown, wire: Wire): void
  handleReadyForQuery(wire?: Wire): void
  handleError(error: Error, wire: unknown): void
}

export const PgQuery = pg.Query as unknown as new (
  config: QueryConfig,
  values?: unknown[]
) => QueryInternals

/** One statement within an exchange: it writes its messages, and is told the server's answers until it is complete. */
export interface Part {
  /** The name under which the server is to keep it prepared, if any. */
  readonly name: string | undefined
  readonly text: string
  /** What is wrong with it, found before anything is written; `names` are those of the parts before it. */
  fault(wire: Wire, names: Map<string, string>): Error | undefined
  /** Writes it without a Sync. What cannot be written is returned, and the server told to forget about it. */
  write(wire: Wire): Error | undefined
  onRowDescription(message: unknown): void
  onDataRow(message: { fields: (string | null)[] }): void
  /** CommandComplete or EmptyQueryResponse: it is complete. */
  onComplete(message: CommandCompleteMessage | undefined, wire: Wire): void
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

  write(wire: Wire): undefined {
    wire.parse({ text: this.text })
    wire.bind({})
    wire.execute({})
  }

  onRowDescription(): void {}
  onDataRow(_message: { fields: (string | null)[] }): void {}

  onComplete(message: CommandCompleteMessage | undefined): void {
    this.tag = message?.text
  }
}

function isTextual(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}

/** In the extended protocol, and without `rows`: pages of a portal would need a Sync of their own in between. */
function asOnePage(config: QueryConfig): QueryConfig {
  return { ...config, queryMode: 'extended', rows: undefined } as QueryConfig
}

/** A statement of the application, parsed and collected by `pg.Query`. */
export class QueryPart implements Part {
  readonly #query: QueryInternals
  readonly #mayPrepare: boolean
  result: unknown
  /** What went wrong on our side: a value that cannot be sent, a row that cannot be parsed. */
  error: Error | undefined
  /** The server has executed it. */
  isComplete = false
  /** The command tag of its answer, without its counts. */
  tag: string | undefined

  /** `mayPrepare`: it may be given a name under which the server keeps it prepared, if it has none. */
  constructor(config: QueryConfig, values: unknown[] | undefined, mayPrepare = false) {
    this.#mayPrepare = mayPrepare && !config.name && config.types === undefined
    this.#query = new PgQuery(asOnePage(config), values)
    this.#query.callback = (error, result) => {
      if (error) this.error ??= error
      else this.result = result
    }
  }

  get name(): string | undefined {
    return this.#query.name
  }

  get text(): string {
    return this.#query.text
  }

  /** The name that was found for it. */
  prepare(statements: PreparedStatements, wire: Wire): void {
    if (this.#mayPrepare) this.#query.name = statements.assign(this.#query.text, wire)
  }

  /** What `pg.Client` gives a query it runs, and cannot give one inside an exchange. */
  adopt(types: unknown, binary: unknown): void {
    this.#query._result._types ??= types
    this.#query.binary ??= binary
  }

  fault(wire: Wire, names: Map<string, string>): Error | undefined {
    const { name, text, values } = this.#query
    if (text === undefined && name === undefined) {
      return new Error('A query must have either text or a name')
    }
    if (!isTextual(text) || !isTextual(name)) {
      return new TypeError('The text and the name of a query must be strings')
    }
    if (values && !Array.isArray(values)) return new Error('Query values must be an array')
    if (!name) return undefined
    const previous =
      names.get(name) ?? wire.parsedStatements[name] ?? wire.submittedNamedStatements[name]
    if (text) names.set(name, text)
    if (!previous || !text || previous === text) return undefined
    return new Error(`Prepared statements must be unique: '${name}' has another text already`)
  }

  write(wire: Wire): Error | undefined {
    this.#query.prepare(wire)
    return this.error
  }

  onRowDescription(message: unknown): void {
    this.#query.handleRowDescription(message)
  }

  onDataRow(message: unknown): void {
    this.#query.handleDataRow(message)
  }

  onComplete(message: CommandCompleteMessage | undefined, wire: Wire): void {
    this.isComplete = true
    this.tag = message?.text.split(' ')[0]
    if (message) this.#query.handleCommandComplete(message, wire)
    else this.#query.handleEmptyQuery(wire)
  }

  onCopyIn(wire: Wire): void {
    this.#query.handleCopyInResponse(wire)
  }

  /** Everything it asked for is there: what `pg.Query` makes of it becomes the result. */
  finish(): void {
    if (this.isComplete) this.#query.handleReadyForQuery()
  }
}
