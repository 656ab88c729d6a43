import type { ClientConfig } from 'pg'
import type { Client } from './client/client.js'
import type { SessionParameters } from './client/config.js'
import { IDENTITY_COLUMNS, identityOf, type ServerIdentity } from './client/evidence.js'
import { Exchange } from './client/exchange.js'
import { QueryPart } from './client/query-part.js'
import { SideConnection } from './client/side-connection.js'
import type { Clock } from './clock.js'
import { isPeerGone } from './disconnect.js'
import { afterLoopTime } from './loop-time.js'
import { type Finding, HalfOpenWatch, type SilentClient } from './pool/half-open.js'

export interface SideLookParts {
  readonly config: ClientConfig
  readonly parameters: SessionParameters
  readonly clock: Clock
}

/** What the server says of a session. */
interface Session {
  /** As `pg_stat_activity` has it; none if there is no such session. */
  readonly state: string | null
  /** For how long that has been its state. */
  readonly forMs: number
  /** It waits for bytes of ours: between statements, or in the middle of one. */
  readonly isReading: boolean
  readonly clientPort: number
}

/** What the server says of itself. */
interface Server {
  /** No pooler stands in between, which would give its clients process ids of its own making. */
  readonly isDirect: boolean
  readonly isWriter: boolean
  readonly identity: ServerIdentity | undefined
}

const LIMIT_MS = 1000
/** An answer may be under way; not for as long as this. */
const UNDER_WAY_MS = 1000
/** A request may be under way, as long again for each so many bytes: a server that waits for the rest of one looks idle. */
const UNDER_WAY_BYTES = 65_536

/** `idle`, `idle in transaction` and `idle in transaction (aborted)`: it waits for a statement. */
const IDLE = /^idle/

const SESSIONS = `
  select asked.pid, state, client_port,
    extract(epoch from pg_catalog.clock_timestamp() - state_change)::float8 * 1000,
    pg_catalog.pg_backend_pid(), not pg_catalog.pg_is_in_recovery(), wait_event = 'ClientRead'
  from pg_catalog.unnest($1::int[]) as asked(pid)
    left join pg_catalog.pg_stat_activity as sessions on sessions.pid = asked.pid`
const IDENTITY = `select ${IDENTITY_COLUMNS}`

/**
 * Looks from the side, on a connection of its own, at a server whose clients wait in silence.
 *
 * Nobody there: not one byte in answer to a new connection at the same address. Somebody there: then it is asked what
 * those sessions do. One that waits for a statement, or the rest of one, while we wait for its answer, or that does
 * not exist, has lost its way to us: a firewall forgot it, or its server was replaced. One that works is slow, and so
 * is every one that the server, or the pooler in between, has nothing certain to say about: it is not to be killed on
 * suspicion.
 */
export class SideLook {
  readonly #parts: SideLookParts

  constructor(parts: SideLookParts) {
    this.#parts = parts
  }

  /** Never rejects. `silent`: clients that are connected to the same address. */
  async look(silent: readonly SilentClient<Client>[]): Promise<Finding<Client>> {
    const first = silent[0]?.client
    if (first === undefined) return { isServerGone: false, lost: [] }
    const side = new SideConnection(this.#parts, first.traffic.endpoint)
    const calledOff = new AbortController()
    let client: Client | undefined
    const limit = afterLoopTime(this.#parts.clock, LIMIT_MS, () => {
      const late = Object.assign(new Error('No answer from the side'), { code: 'ETIMEDOUT' })
      calledOff.abort(late)
      client?.abandon(late)
    })
    try {
      client = await side.open(calledOff.signal)
      return await ask(client, silent)
    } catch (error) {
      return { isServerGone: !side.wasAnswered && isPeerGone(error), lost: [] }
    } finally {
      limit.cancel()
      void client?.close()
    }
  }
}

/** Watches clients, and looks from the side where they are silent; `timeout` in milliseconds. */
export function watchOver(
  parts: SideLookParts,
  timeout: number,
  invalidate: (error: unknown, generation: number) => void
): HalfOpenWatch<Client> {
  const sideLook = new SideLook(parts)
  const look = (silent: readonly SilentClient<Client>[]) => sideLook.look(silent)
  return new HalfOpenWatch<Client>({ clock: parts.clock, timeout, look, invalidate })
}

async function ask(
  side: Client,
  silent: readonly SilentClient<Client>[]
): Promise<Finding<Client>> {
  const pids = silent.map(({ client }) => client.pid)
  const sessions = query(SESSIONS, [pids])
  const identity = query(IDENTITY, [])
  // Where nothing is known to hold it against, the server may not even let us ask.
  const isKnown = silent.some(({ client }) => client.server !== undefined)
  await side.run(new Exchange(isKnown ? [sessions, identity] : [sessions], () => {}))
  const rows = rowsOf(sessions)
  const server: Server = {
    isDirect: rows[0]?.[4] === side.pid,
    isWriter: rows[0]?.[5] === true,
    identity: isKnown ? identityOf(rowsOf(identity)[0] ?? []) : undefined
  }
  const found = new Map(rows.map(row => [row[0], sessionOf(row)]))
  const lost = silent.filter(one => isLost(one, found.get(one.client.pid), server))
  return { isServerGone: false, lost: lost.map(({ client }) => client) }
}

function isLost(
  { bytesSent, client, forMs }: SilentClient<Client>,
  session: Session | undefined,
  server: Server
): boolean {
  if (isReplaced(client, server)) return true
  if (!server.isDirect || session === undefined) return false
  // Behind one address there may be several servers, with sessions of the same number.
  const isSame = client.server !== undefined && isSameServer(client.server, server.identity)
  if (session.state === null) return isSame
  if (!isSame && session.clientPort !== client.traffic.localPort) return false
  // Its reader, or its writer, may be the application, which takes its time.
  const isReading = session.isReading && !client.isUsed
  if (!IDLE.test(session.state) && !isReading) return false
  const blocks = Math.floor(bytesSent / UNDER_WAY_BYTES)
  return session.forMs > UNDER_WAY_MS && forMs >= blocks * UNDER_WAY_MS
}

/** Of one cluster only one server takes writes at a time: where another one does now, the client's does no longer. */
function isReplaced(client: Client, server: Server): boolean {
  const { identity, isWriter } = server
  if (client.server === undefined || identity === undefined) return false
  if (client.server.systemIdentifier !== identity.systemIdentifier) return false
  return (
    isWriter && client.role.wasWriter === true && client.server.startedAt !== identity.startedAt
  )
}

function isSameServer(one: ServerIdentity, other: ServerIdentity | undefined): boolean {
  return one.systemIdentifier === other?.systemIdentifier && one.startedAt === other.startedAt
}

function sessionOf([, state, clientPort, forMs, , , isReading]: unknown[]): Session {
  return {
    state: typeof state === 'string' ? state : null,
    clientPort: Number(clientPort),
    forMs: Number(forMs),
    isReading: isReading === true
  }
}

function query(text: string, values: unknown[]): QueryPart {
  return new QueryPart({ text, rowMode: 'array' } as { text: string }, values)
}

function rowsOf(part: QueryPart): unknown[][] {
  return (part.result as { rows: unknown[][] }).rows
}
