import type { SessionClient } from './config.js'
import type { Part } from './parts.js'
import type { CommandCompleteMessage, Wire } from './wire.js'

/** Which server, and since when: a transaction id means something only on the one that gave it out. */
export interface ServerIdentity {
  readonly systemIdentifier: string
  /** Seconds since the epoch, as text. */
  readonly startedAt: string
  /** When its statistics began: anew after each crash, also one that its postmaster survives. */
  readonly statisticsSince: string
}

/** What can be asked about later: a transaction, told by the server while it was still open. */
export interface Evidence {
  readonly xid: string
  /** Position in the write-ahead log behind everything the transaction had done until then. */
  readonly lsn: string
  readonly timeline: string
  readonly server: ServerIdentity
  readonly pid: number
}

/** NULL instead of an error on a standby: it must never fail the statement it rides with. */
const POSITION = `
  (select case when not pg_catalog.pg_is_in_recovery()
    then pg_catalog.pg_current_wal_insert_lsn() end as lsn) as wal`
const XID = `pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text`
const WHERE = `lsn::pg_catalog.text, pg_catalog.substr(pg_catalog.pg_walfile_name(lsn), 1, 8)`

/** System identifier, start and crash time: three columns that hold for as long as a session does. */
export const IDENTITY_COLUMNS = `
  (select system_identifier from pg_catalog.pg_control_system())::pg_catalog.text,
  pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::pg_catalog.text,
  pg_catalog.date_part('epoch', pg_catalog.pg_stat_get_bgwriter_stat_reset_time())::pg_catalog.text`

const IDENTITY = `select ${IDENTITY_COLUMNS}`
const EVIDENCE = `select ${XID}, ${WHERE} from ${POSITION}`
/** Also run by itself, to find out whether this server lets us ask. */
export const EVIDENCE_AND_IDENTITY = `select ${XID}, ${WHERE}, ${IDENTITY_COLUMNS} from ${POSITION}`

/** @throws the server does not say, or is gone */
export async function askIdentity(raw: SessionClient): Promise<ServerIdentity | undefined> {
  const { rows } = await raw.query<unknown[]>({ text: IDENTITY, rowMode: 'array' })
  return identityOf(rows[0] ?? [])
}

/** What {@link IDENTITY_COLUMNS} give. */
export function identityOf(columns: readonly unknown[]): ServerIdentity | undefined {
  const [systemIdentifier, startedAt, statisticsSince] = columns
  if (typeof systemIdentifier !== 'string' || typeof startedAt !== 'string') return undefined
  return { systemIdentifier, startedAt, statisticsSince: String(statisticsSince ?? '') }
}

/**
 * Asks for the transaction id behind a statement, in its flush and its transaction, so that the answer arrives
 * before the commit begins (https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
 */
export class EvidencePart implements Part {
  readonly name = undefined
  readonly text: string
  /** The server's identity, asked for if it was not known yet. */
  server: ServerIdentity | undefined
  #row: (string | null)[] = []

  constructor(known: ServerIdentity | undefined) {
    this.server = known
    this.text = known === undefined ? EVIDENCE_AND_IDENTITY : EVIDENCE
  }

  fault(): undefined {}

  write(wire: Wire): void {
    wire.parse({ text: this.text })
    wire.bind({})
    wire.execute({})
    // Sent off now: what comes behind it ends the transaction.
    wire.flush()
  }

  onRowDescription(): void {}

  onDataRow({ fields }: { fields: (string | null)[] }): void {
    this.#row = fields
    this.server = identityOf(fields.slice(3)) ?? this.server
  }

  onComplete(_message: CommandCompleteMessage | undefined): void {}

  /** What was learned; nothing if the answer did not arrive, or the transaction has no id (yet). */
  read(pid: number): Evidence | undefined {
    const [xid, lsn, timeline] = this.#row
    const { server } = this
    if (!xid || !lsn || !timeline || server === undefined) return undefined
    return { xid, lsn, timeline, server, pid }
  }
}
