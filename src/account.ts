import type { StatementKind } from './statement-kind.js'

/**
 * What a statement can do.
 *
 * - `nothing`: BEGIN, SAVEPOINT, ROLLBACK, pings, and what changes the session alone (SET ROLE, LISTEN)
 * - `read`: plain reads, and what the server keeps read-only
 * - `change`: DML, and queries that call functions; undone together if they fail
 * - `command`: the other single statements; some (CALL, DO) may commit inside, and fail then
 * - `commit`: COMMIT, or PREPARE TRANSACTION
 * - `untracked`: several statements in one text, or a client in other hands: nobody sees what happens
 */
export type Effect = 'nothing' | 'read' | 'change' | 'command' | 'commit' | 'untracked'

/** The effect a text may have, as far as it shows. */
export function effectOf(kind: StatementKind): Effect {
  if (kind.several) return 'untracked'
  if (kind.kind === 'read') return 'read'
  if (kind.ofSession) return 'nothing'
  if (kind.kind === 'write') return 'change'
  if (kind.kind === 'other') return kind.readOnlyShape ? 'change' : 'command'
  switch (kind.control) {
    case 'commit':
    case 'prepare_transaction':
      return 'commit'
    case 'commit_prepared':
    case 'rollback_prepared':
      return 'command'
    default:
      return 'nothing'
  }
}

/**
 * - `quiet`: nothing sent that had an effect, or all of it settled
 * - `open`: effects inside a transaction, COMMIT not written: the loss of the session undoes them
 * - `sent`: an autocommit effect written and not answered
 * - `committing`: COMMIT written and not answered
 */
type State = 'quiet' | 'open' | 'sent' | 'committing'

/**
 * What one connection has done. Answered means ReadyForQuery: with the extended protocol the commit happens at Sync,
 * behind CommandComplete.
 */
export class Account {
  #state: State = 'quiet'
  #effect: Effect = 'nothing'
  #hasApplied = false
  #hasRolledBack = false
  #isUntracked = false
  /** Further effects that were written and are not answered, besides the one that `sent` means. */
  #sentBehind = 0
  /** Lost without an answer, and not {@link resolved}: each in doubt by itself. */
  #unresolved = 0
  /** Statements started so far; and those up to which nothing that has an effect is written any more. */
  #started = 0
  #cutOffAt = 0

  /** At least one effect is known to have been committed. */
  get hasApplied(): boolean {
    return this.#hasApplied
  }

  /** Effects were sent, and are known to have been undone. */
  get hasRolledBack(): boolean {
    return this.#hasRolledBack
  }

  /** Effects wait in a transaction that nobody has committed. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Whether something took effect is not known: its answer has not come, or nobody could see it. */
  get isInDoubt(): boolean {
    return this.#isUntracked || this.#unresolved > 0 || this.isUnanswered
  }

  /** An effect, or a COMMIT, was written and not answered yet. */
  get isUnanswered(): boolean {
    return this.#state === 'sent' || this.#state === 'committing'
  }

  /** A COMMIT was written and not answered: to cancel it would leave a commit that is not replicated. */
  get isCommitting(): boolean {
    return this.#state === 'committing'
  }

  /** Something that has an effect is under way, or may be. */
  get isWriting(): boolean {
    return this.#state !== 'quiet' || this.#isUntracked
  }

  /** Somebody else had the client, or a script ran: what we know of its transactions may be about others. */
  get isUntracked(): boolean {
    return this.#isUntracked
  }

  /** A statement was started. What is returned is to be shown when its turn to be written comes. */
  start(): number {
    this.#started += 1
    return this.#started
  }

  /** Whether a statement must not be written any more: a repetition of the request was allowed since it was started. */
  isCutOff(started: number, effect: Effect): boolean {
    if (effect === 'nothing' || effect === 'read') return false
    return started <= this.#cutOffAt
  }

  /** Has no effect of what was started before written any more. */
  cutOff(): void {
    this.#cutOffAt = this.#started
  }

  /** Has no effect written any more, whenever it is started. */
  seal(): void {
    this.#cutOffAt = Number.POSITIVE_INFINITY
  }

  /** Bytes of a statement were handed to the socket. */
  written(effect: Effect, isInTransaction: boolean): void {
    this.#effect = effect
    if (effect === 'untracked') this.#isUntracked = true
    if (effect === 'commit' && this.#state === 'open') this.#state = 'committing'
    if (effect !== 'change' && effect !== 'command') return
    if (this.#state === 'sent' && !isInTransaction) this.#sentBehind += 1
    this.#state = isInTransaction ? 'open' : 'sent'
  }

  /** ReadyForQuery came: the statement is over, `isInTransaction` says what the server is in now. */
  answered(outcome: 'done' | 'failed', tag: string | undefined, isInTransaction: boolean): void {
    const state = this.#state
    if (state === 'open' && isInTransaction) return
    this.#state = this.#sentBehind > 0 ? 'sent' : 'quiet'
    if (this.#sentBehind > 0) this.#sentBehind -= 1
    if (state === 'quiet') return
    if (outcome === 'failed') this.#failed(state)
    else if (state === 'sent') this.#hasApplied = true
    else if (tag === 'ROLLBACK') this.#hasRolledBack = true
    else if (state === 'committing' && tag === 'COMMIT') this.#hasApplied = true
    else this.#isUntracked = true
  }

  /** The session is gone: what was open is undone; what was not answered stays in doubt, whatever the next one does. */
  lost(): void {
    const state = this.#state
    this.#state = 'quiet'
    if (state === 'open') this.#hasRolledBack = true
    if (state === 'sent' || state === 'committing') this.#unresolved += 1 + this.#sentBehind
    this.#sentBehind = 0
  }

  /** What became of what was not answered. */
  resolved(verdict: 'committed' | 'aborted'): void {
    this.#unresolved -= 1
    if (verdict === 'committed') this.#hasApplied = true
    else this.#hasRolledBack = true
  }

  #failed(state: State): void {
    // A procedure may have committed before it failed.
    if (state === 'sent' && this.#effect === 'command') this.#isUntracked = true
    else this.#hasRolledBack = true
  }
}
