import type { Clock } from '../clock.js'
import type { SessionClient } from './config.js'
import type { ResetMode } from './reset.js'

export interface ClientOptions {
  readonly clock: Clock
  readonly resetMode: ResetMode
  /** Runs before each reset; what it throws costs the client. */
  beforeReset(raw: SessionClient, inTransaction: boolean): Promise<void> | undefined
  /** The session ended without our doing; called once. */
  onLost(error: unknown): void
}
