import { readFile } from 'node:fs/promises'
import type { Queryable } from 'fastify-pg-engine'

/** Creates what is not there yet; changes nothing that is. */
export async function createTables(db: Queryable): Promise<void> {
  await db.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
}
