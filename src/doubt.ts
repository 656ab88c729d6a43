import type { Client } from './client/client.js'
import { type Evidence, IDENTITY_COLUMNS } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { QueryPart } from './client/query-part.js'
import type { Clock } from './clock.js'
import { EngineClosedError } from './errors.js'
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
 * One row: what says whether the answer is about the same transaction, and what became of it. A transaction id that the
 * last checkpoint had not seen given out, though the server was started since, belongs to a transaction that was lost.
 */
const QUESTION = `
  select ${IDENTITY_COLUMNS},
    pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8),
    is_recovered,
    case when is_recovered or $2 = pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::pg_catalog.text
      then pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8) end
  from pg_catalog.pg_control_checkpoint(),
    lateral (select $1::pg_catalog.numeric
      < pg_catalog.split_part(next_xid, ':', 1)::pg_catalog.numeric * 4294967296
        + pg_catalog.split_part(next_xid, ':', 2)::pg_catalog.numeric as is_recovered) as recovery`

const TERMINATE = `
  select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
  where pid = $1 and backend_xid = pg_catalog.xid($2::pg_catalog.text::pg_catalog.xid8)`

/** Finds out on another session whether a transaction whose answer was lost has been committed. */
export class Doubt {
  readonly #parts: DoubtParts

  constructor(parts: DoubtParts) {
    this.#parts = parts
  }

  /**
   * Never rejects: what cannot be found out in time is unknown. `until`: clock reading after which nobody needs to know,
   * if that is sooner.
   */
  async resolve(
    evidence: Evidence,
    until: number = Number.POSITIVE_INFINITY
  ): Promise<DoubtVerdict> {
    const { clock, timeout } = this.#parts
    const startedAt = clock.now()
    const deadline = Math.min(startedAt + timeout, until)
    while (clock.now() < deadline) {
      const isStuck = clock.now() - startedAt > PATIENCE_MS
      try {
        const verdict = await this.#ask(evidence, deadline, isStuck)
        if (verdict !== 'in progress') return verdict
      } catch (error) {
        if (error instanceof EngineClosedError) return 'unknown'
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
    const { clock, pool } = this.#parts
    const lease = await pool.checkout({ deadline })
    // A server that falls silent now must not be waited for: this closes the socket, and rejects what runs on it.
    const timer = clock.setTimer(deadline - clock.now(), () => pool.checkin(lease, 'error'))
    try {
      const rows = await query(lease.client, QUESTION, [evidence.xid, evidence.server.startedAt])
      const verdict = judge(rows[0] ?? [], evidence)
      if (verdict === 'in progress' && isStuck) {
        await query(lease.client, TERMINATE, [evidence.pid, evidence.xid])
      }
      return verdict
    } finally {
      timer.cancel()
      pool.checkin(lease, lease.client.lost === undefined ? undefined : 'error')
    }
  }
}

function judge(row: readonly unknown[], evidence: Evidence): DoubtVerdict | 'in progress' {
  const [systemIdentifier, startedAt, statisticsSince, timeline, isRecovered, status] = row
  const { server } = evidence
  if (systemIdentifier !== server.systemIdentifier || timeline !== evidence.timeline)
    return 'unknown'
  if (startedAt !== server.startedAt && isRecovered !== true) return 'aborted'
  // An id is given out again only if nothing of its first transaction was kept.
  if (status === 'aborted') return status
  // Statistics begin anew with every crash: after one, the id may be that of another transaction, given out again.
  if (statisticsSince !== server.statisticsSince) return 'unknown'
  return status === 'committed' || status === 'in progress' ? status : 'unknown'
}

async function query(client: Client, text: string, values: unknown[]): Promise<unknown[][]> {
  const part = new QueryPart({ text, rowMode: 'array' } as { text: string }, values)
  await client.run(new Exchange([part], () => {}))
  return (part.result as { rows: unknown[][] }).rows
}
