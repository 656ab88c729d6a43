import type { Clock } from '../clock.js'
import type { SessionClient } from './config.js'
import type { ResetMode } from './reset.js'
import type { StatementNames } from './statements.js'

export interface ClientOptions {
  readonly clock: Clock
  readonly resetMode: ResetMode
  /** Which texts are to be prepared, for all clients of an engine. */
  readonly statements?: StatementNames | undefined
  /** Runs before each reset; what it throws costs the client. */
  beforeReset(raw: SessionClient, inTransaction: boolean): Promise<void> | undefined
  /** Whether anybody is shown the client when it is lent or comes back, and could send something past us. */
  isShown(): boolean
  /** Something is about to be sent; called for every statement, so it must cost next to nothing. */
  onSend(): void
  /** The server has ceased, or begun, to take writes; called before whatever reported it is answered. */
  onRole(change: 'reader' | 'writer'): void
  /** The session ended without our doing; called once. */
  onLost(error: unknown): void
}
