/** The transaction that statements are part of now: begun with the first of them, in its flush. */
export class OpenTransaction {
  readonly begin: string
  readonly isReadOnly: boolean
  isBegun = false
  /** The statement that carries BEGIN; the ones behind it wait, for if BEGIN fails they would be committed one by one. */
  beginning: Promise<unknown> | undefined

  constructor(begin: string, isReadOnly: boolean) {
    this.begin = begin
    this.isReadOnly = isReadOnly
  }
}
