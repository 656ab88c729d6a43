import type { Clock } from '../clock.js'
import { Script } from './script.js'

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
  readonly lost: unknown
  run(query: Script): Promise<unknown>
  abandon(error: unknown): void
}

/**
 * Runs what makes the session fit for the next borrower, once the listeners are through.
 *
 * @throws what a listener or a statement does, or that it took too long: nobody may get the client then
 */
export async function resetSession(
  target: Resettable,
  clock: Clock,
  statements: string[],
  listening: Promise<void> | undefined
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
    await Promise.race([listening, late])
    if (!target.isReady) throw new Error('The session is still busy')
    for (const text of statements) await target.run(new Script(text, () => {}))
    if (target.lost !== undefined) throw target.lost
  } finally {
    timer.cancel()
  }
}
