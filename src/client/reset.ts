import type { Clock } from '../clock.js'
import type { ClientOptions } from './client-options.js'
import type { SessionClient } from './config.js'
import type { LateCommit } from './late-commit.js'
import type { Outbox } from './outbox.js'
import { Script } from './script.js'
import type { TransactionStatus } from './transaction-status.js'

/** `pool_reset_on_return` */
export type ResetMode = 'rollback' | 'discard' | null

/**
 * `DISCARD ALL` but for the statements prepared over the protocol: `pg` remembers their names, and would use them
 * again (https://www.postgresql.org/docs/current/sql-discard.html). Those prepared by SQL are the user's own.
 */
const DISCARD_SESSION_STATE = `
  CLOSE ALL;
  SET SESSION AUTHORIZATION DEFAULT;
  RESET ALL;
  UNLISTEN *;
  SELECT pg_catalog.pg_advisory_unlock_all();
  DISCARD TEMP;
  DISCARD SEQUENCES;
  DO $$
    DECLARE statement text;
    BEGIN
      FOR statement IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql LOOP
        EXECUTE pg_catalog.format('DEALLOCATE %I', statement);
      END LOOP;
    END
  $$`

/** What must be sent, in order, before the session may serve somebody else; nothing in the common case. */
export function resetStatements(
  mode: ResetMode,
  isInTransaction: boolean,
  isUsed: boolean
): string[] {
  if (mode === null) return []
  const statements = isInTransaction ? ['ROLLBACK'] : []
  if (mode === 'discard' && isUsed) statements.push(DISCARD_SESSION_STATE)
  return statements
}

/** How long a reset may take: to replace the client would not take longer. */
const RESET_MS = 5000

/** What is reset: a client, seen from here. */
export interface Resettable {
  readonly isReady: boolean
  readonly lateCommit: LateCommit
  readonly lost: unknown
  readonly raw: SessionClient
  readonly transaction: TransactionStatus
  run(query: Script): Promise<unknown>
  abandon(error: unknown): void
}

/** What was done to a session since it was last reset, and how that is undone. */
export class SessionReset {
  readonly #target: Resettable
  readonly #options: ClientOptions
  readonly #outbox: Outbox
  wasUsed = false
  #isInOtherHands = false

  constructor(target: Resettable, options: ClientOptions, outbox: Outbox) {
    this.#target = target
    this.#options = options
    this.#outbox = outbox
  }

  /** Somebody may have sent something past us. */
  get isInOtherHands(): boolean {
    return this.#isInOtherHands
  }

  /** Somebody may send something past us from now on. */
  inOtherHands(): void {
    this.wasUsed = true
    this.#isInOtherHands = true
    this.#target.transaction.forget()
  }

  /**
   * Makes the session fit for the next borrower; `undefined` when there is nothing to do. A COMMIT that is owed is left to
   * one who waits already (`isAwaited`), where nothing has to be sent before that.
   */
  run(isAwaited: boolean): Promise<void> | undefined {
    const { lateCommit, raw, transaction } = this.#target
    const { beforeReset, clock, resetMode } = this.#options
    const isInTransaction = transaction.isOpen
    const statements = resetStatements(resetMode, isInTransaction, this.wasUsed)
    const isLeft = isAwaited && statements.length === 0
    const committing = isLeft ? undefined : lateCommit.send()
    const listening = beforeReset(raw, isInTransaction)
    const isWaiting = committing !== undefined || listening !== undefined
    if (!isWaiting && statements.length === 0 && this.#target.isReady) {
      this.#done()
      return undefined
    }
    const before = Promise.all([committing, listening])
    return resetSession(this.#target, clock, statements, before).then(() => {
      // RESET ALL has undone what it was.
      this.#target.transaction.forget()
      this.#done()
    })
  }

  #done(): void {
    if (this.#isInOtherHands) this.#target.transaction.forget()
    this.wasUsed = false
    this.#isInOtherHands = false
    this.#outbox.isShared = false
  }
}

/**
 * Runs what makes the session fit for the next borrower, once what goes before is through.
 *
 * @throws what a listener or a statement does, or that it took too long: nobody may get the client then
 */
async function resetSession(
  target: Resettable,
  clock: Clock,
  statements: string[],
  before: Promise<unknown>
): Promise<void> {
  const tooLong = new Error(`The session was not reset within ${RESET_MS} ms`)
  let giveUp = (_error: Error) => {}
  const late = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  late.catch(() => {})
  const timer = clock.setTimer(RESET_MS, () => {
    target.abandon(tooLong)
    giveUp(tooLong)
  })
  try {
    await Promise.race([before, late])
    if (target.lost !== undefined) throw target.lost
    if (!target.isReady) throw new Error('The session is still busy')
    for (const text of statements) await target.run(new Script(text, () => {}))
    if (target.lost !== undefined) throw target.lost
  } finally {
    timer.cancel()
  }
}
