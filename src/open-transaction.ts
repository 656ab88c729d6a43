/** The transaction that statements are part of now: begun with the first of them, in its flush. */
export class OpenTransaction {
  readonly begin: string
  readonly isReadOnly: boolean
  /** The server has said that it is in it. */
  isBegun = false
  #claim: { over: Promise<void>; end: () => void } | undefined

  constructor(begin: string, isReadOnly: boolean) {
    this.begin = begin
    this.isReadOnly = isReadOnly
  }

  /**
   * Whether the caller's statement is to carry BEGIN. Those started behind it wait until it is through, also when it
   * must be repeated: if BEGIN failed, they would be committed one by one. Whoever is told yes must {@link release}.
   */
  async claim(): Promise<boolean> {
    while (this.#claim !== undefined) await this.#claim.over
    if (this.isBegun) return false
    let end = () => {}
    const over = new Promise<void>(resolve => {
      end = resolve
    })
    this.#claim = { over, end }
    return true
  }

  release(): void {
    const claim = this.#claim
    this.#claim = undefined
    claim?.end()
  }
}
