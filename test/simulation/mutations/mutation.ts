/** A fault put into a file on purpose: one text, found exactly once, in place of another. */
export interface Change {
  readonly name: string
  readonly find: string
  readonly replace: string
}

export interface Mutation extends Change {
  /** In `src/pool/`. */
  readonly file: string
}
