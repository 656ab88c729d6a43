import type { Client } from './client/client.js'
import { type Evidence, IDENTITY_COLUMNS } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { QueryPart } from './client/parts.js'
import type { Clock } from './clock.js'
import type { Pool } from './pool/pool.js'

export type DoubtVerdict = 'committed' | 'aborted' | 'unknown'

export interface DoubtParts {
  readonly pool: Pool<Client>
  readonly clock: Clock
  /** How long it may take to find out, in milliseconds. */
  readonly timeout: number
}

/** A transaction still in progress after this is one whose backend has not noticed that its client is gone. */
const PATIENCE_MS = 100
const PAUSE_MS = 25

/**
 * One row: what became of the transaction, and what says whether the answer is about the same one. After a crash the
 * last checkpoint stands where recovery ended, as long as no other has followed (then its redo point lies before it).
 */
const QUESTION = `
  select pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8),
    pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8),
    checkpoint_lsn = redo_lsn, checkpoint_lsn > $2::pg_catalog.pg_lsn,
    ${IDENTITY_COLUMNS}
  from pg_catalog.pg_control_checkpoint()`

const TERMINATE = `
  select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
  where pid = $1 and backend_xid = pg_catalog.xid($2::pg_catalog.text::pg_catalog.xid8)`

/** Finds out on another session whether a transaction whose answer was lost has been committed. */
export class Doubt {
  readonly #parts: DoubtParts

  constructor(parts: DoubtParts) {
    this.#parts = parts
  }

  /** Never rejects: what cannot be found out in time is unknown. */
  async resolve(evidence: Evidence): Promise<DoubtVerdict> {
    const { clock, timeout } = this.#parts
    const startedAt = clock.now()
    const deadline = startedAt + timeout
    while (clock.now() < deadline) {
      const isStuck = clock.now() - startedAt > PATIENCE_MS
      try {
        const verdict = await this.#ask(evidence, deadline, isStuck)
        if (verdict !== 'in progress') return verdict
      } catch (error) {
        // The server's own refusal (a transaction id of the future) will not change; its absence may.
        if (error instanceof Error && Reflect.get(error, 'severity') === 'ERROR') return 'unknown'
      }
      await new Promise<void>(resolve => clock.setTimer(PAUSE_MS, resolve))
    }
    return 'unknown'
  }

  async #ask(
    evidence: Evidence,
    deadline: number,
    isStuck: boolean
  ): Promise<DoubtVerdict | 'in progress'> {
    const { pool } = this.#parts
    const lease = await pool.checkout({ deadline })
    try {
      const rows = await query(lease.client, QUESTION, [evidence.xid, evidence.lsn])
      const verdict = judge(rows[0] ?? [], evidence)
      if (verdict === 'in progress' && isStuck) {
        await query(lease.client, TERMINATE, [evidence.pid, evidence.xid])
      }
      return verdict
    } finally {
      pool.checkin(lease, lease.client.lost === undefined ? undefined : 'error')
    }
  }
}

function judge(row: readonly unknown[], evidence: Evidence): DoubtVerdict | 'in progress' {
  const [status, timeline, isAtRecovery, isBehind, systemIdentifier, startedAt, statisticsSince] =
    row
  const { server } = evidence
  if (systemIdentifier !== server.systemIdentifier || timeline !== evidence.timeline)
    return 'unknown'
  if (startedAt !== server.startedAt || (statisticsSince ?? '') !== server.statisticsSince) {
    // The server went down in between, and may have crashed: a transaction that recovery has not read is undone, and its
    // id may be somebody else's now. Only the log's end before it proves that. Statistics alone a person may have reset.
    const isUndone = isAtRecovery === true && isBehind !== true && startedAt !== server.startedAt
    return isUndone ? 'aborted' : 'unknown'
  }
  if (status === 'committed' || status === 'aborted' || status === 'in progress') return status
  return 'unknown'
}

async function query(client: Client, text: string, values: unknown[]): Promise<unknown[][]> {
  const part = new QueryPart({ text, rowMode: 'array' } as { text: string }, values)
  await client.run(new Exchange([part], () => {}))
  return (part.result as { rows: unknown[][] }).rows
}
