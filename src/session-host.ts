import type { Client } from './client/client.js'
import type { Phase, Verdict } from './disconnect.js'
import type { ErrorContext } from './failure.js'
import type { LeakWatch } from './leak-watch.js'
import type { Ledger } from './ledger.js'
import type { Verification } from './pool/checkout.js'
import type { Pool } from './pool/pool.js'
import type { EndingHost } from './session-ending.js'
import type { StopClock } from './stop-sign.js'

/** What a session needs of the engine it belongs to. */
export interface SessionHost extends EndingHost, StopClock {
  readonly pool: Pool<Client>
  /** `pool_pre_ping_timeout`, in milliseconds. */
  readonly pingTimeout: number
  readonly leakWatch: LeakWatch
  judge(error: unknown, phase: Phase, client: Client | undefined): Verdict
  /** The error as the application gets it. */
  explain(error: unknown, verdict: Verdict, ledger: Ledger, context: ErrorContext): unknown
}

/** The first use of a client that was lent unverified: what it sends is to show whether the client lives. */
export interface Probe {
  /** It was sent. */
  start(): void
}

/** What a use of a session's client may bring along. */
export interface Use {
  /** Any of these calls it off: as a wait for a client, or as a statement. */
  readonly signals?: readonly AbortSignal[] | undefined
  /** The user finds out by itself whether the client lives. */
  readonly verification?: Verification | undefined
  /** The text of the statement it is for. */
  readonly statement?: string | undefined
  /** Where READ ONLY was asked for, its refusal of a write says nothing about the server. */
  readonly isReadOnly?: boolean
}
