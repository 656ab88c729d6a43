import pg, { type FieldDef, type QueryResult } from 'pg'
import type { CommandCompleteMessage } from './wire.js'

/** What `pg.Result` has, and its type declaration leaves out; a test holds it against the installed `pg`. */
export interface ResultInternals extends QueryResult {
  readonly _types: { getTypeParser(oid: number, format: string): (value: string) => unknown }
  _parsers: ((value: string) => unknown)[] | undefined
  _prebuiltEmptyResultObject: object | null
  addFields(fields: readonly FieldDef[]): void
  parseRow(fields: (string | null)[]): unknown
  addCommandComplete(message: CommandCompleteMessage): void
}

export const PgResult = pg.Result as unknown as new (
  rowMode: unknown,
  types: unknown
) => ResultInternals

/** What the rows of a statement consist of, for the results of later executions: `pg` would make it anew for each. */
export class RowShape {
  readonly #fields: readonly FieldDef[]
  /** Never changed: each row begins as a copy of it. */
  readonly #emptyRow: object | null

  /** `of`: a result that the fields were added to; none for a statement that returns no rows. */
  constructor(fields: readonly FieldDef[], of?: ResultInternals) {
    this.#fields = copies(fields)
    this.#emptyRow = of?._prebuiltEmptyResultObject ?? null
  }

  applyTo(result: ResultInternals): void {
    if (this.#fields.length === 0) return
    const fields = copies(this.#fields)
    if (this.#emptyRow === null) {
      result.addFields(fields)
      return
    }
    result.fields = fields
    // Looked up each time: the application may have set others since.
    result._parsers = fields.map(({ dataTypeID, format }) =>
      result._types.getTypeParser(dataTypeID, format)
    )
    result._prebuiltEmptyResultObject = this.#emptyRow
  }
}

/** The class that `pg` has for them; a test holds it against the installed one. */
type Field = new (
  name: string,
  tableID: number,
  columnID: number,
  dataTypeID: number,
  dataTypeSize: number,
  dataTypeModifier: number,
  format: string
) => FieldDef

/** The application may do what it likes with those of its result. */
function copies(fields: readonly FieldDef[]): FieldDef[] {
  return fields.map(copy)
}

function copy(field: FieldDef): FieldDef {
  const { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format } = field
  return new (field.constructor as Field)(
    name,
    tableID,
    columnID,
    dataTypeID,
    dataTypeSize,
    dataTypeModifier,
    format
  )
}
