import type { ConnectFailure } from './connector.js'
import type { IsDisconnect } from './judge.js'
import type { EngineLogger } from './logger.js'
import type { OnAbort } from './on-abort.js'
import type { PoolStatus } from './pool/contract.js'
import type { Settings } from './settings.js'

export interface EngineParts {
  readonly settings: Settings
  readonly log: EngineLogger
  /** What it is registered as; none for the default database. */
  readonly name?: string | undefined
  readonly isDisconnect?: IsDisconnect | undefined
  /** Default: `cancel-reads`. */
  readonly onAbort?: OnAbort | undefined
}

export interface EngineStatus extends PoolStatus {
  /** Why the database could not be reached when that failed last. */
  readonly lastError: ConnectFailure | undefined
  /** Statements and transactions that were run again, unseen, since the start. */
  readonly replays: number
}
