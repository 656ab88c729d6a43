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
