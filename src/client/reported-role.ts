/** As `pg` passes it on. */
export interface ParameterStatusMessage {
  readonly parameterName: string
  readonly parameterValue: string
}

/**
 * Whether a session takes writes, as the server says of itself unasked: the two settings that PostgreSQL 14 and later
 * report when a session begins and whenever they change
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC).
 *
 * A standby that is promoted reports it, and so does a server that an administrator tells to take no more writes. So
 * does a `SET` of the application's own, which says nothing about the server; from then on nothing that the session
 * reports does. It is told by the text of what runs: where that is not known, nothing is concluded, and a function that
 * changes the setting unseen is taken for the server, which costs replaced clients and nothing else.
 */
export class ReportedRole {
  readonly #values = new Map<string, boolean>()
  /** What runs may change it, or has in this transaction. */
  isBeingSet = false
  #isOwn = false
  #isUnsure = false
  #wasWriter: boolean | undefined

  /** Whether it takes writes, as far as its settings show; undefined where the server does not say. */
  get isWriter(): boolean | undefined {
    if (this.#values.size < SETTINGS.size) return undefined
    return [...this.#values.values()].every(isReadOnly => !isReadOnly)
  }

  /** Whether it took writes when it was first lent, or has begun to since. */
  get wasWriter(): boolean | undefined {
    return this.#wasWriter
  }

  /** Whether the application has changed it itself. */
  get isOwn(): boolean {
    return this.#isOwn
  }

  /** From here on the session is lent: what its `connect` listeners have made of it, it was born as. */
  settle(): void {
    this.#wasWriter = this.isWriter
  }

  /** A text is sent that may leave something behind in the session. */
  noteText(text: string): void {
    this.isBeingSet ||= MAY_SET.test(text)
  }

  /**
   * The server has reported a setting. `isInOtherHands`: something may run that nobody told us of.
   *
   * @returns whether the server has ceased, or begun, to take writes
   */
  report(name: string, value: string, isInOtherHands: boolean): 'reader' | 'writer' | undefined {
    if (!SETTINGS.has(name)) return undefined
    const before = this.isWriter
    this.#values.set(name, value === 'on')
    const { isWriter } = this
    if (before === undefined || before === isWriter) return undefined
    if (this.#wasWriter === undefined) return undefined
    // Nobody can set the other one.
    if (name === READ_ONLY && this.isBeingSet) this.#isOwn = true
    else if (name === READ_ONLY && isInOtherHands) this.#isUnsure = true
    if (this.#isOwn || this.#isUnsure) return undefined
    if (isWriter) this.#wasWriter = true
    return isWriter ? 'writer' : 'reader'
  }
}

const READ_ONLY = 'default_transaction_read_only'
const SETTINGS: ReadonlySet<string> = new Set(['in_hot_standby', READ_ONLY])
const MAY_SET = /read[\s_]+only|set_config/i
