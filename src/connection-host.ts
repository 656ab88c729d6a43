import type { DeliveryHost } from './delivery.js'
import type { Ledger } from './ledger.js'
import type { OnAbort } from './on-abort.js'
import type { QueryRecorder } from './query-record.js'
import type { SessionHost } from './session-host.js'
import type { StatementMeter } from './statement-meter.js'
import type { Deadline } from './stop-sign.js'

/** What a connection needs of the engine it belongs to. */
export interface ConnectionHost extends SessionHost, DeliveryHost {
  /** For engines whose statements are measured. */
  readonly meter: StatementMeter | undefined
  /** What becomes of a request that is not safe, when its client has left. */
  readonly onAbort: OnAbort
  pause(ms: number): Promise<void>
}

export interface ConnectionParts {
  readonly ledger: Ledger
  /** `release()` is not the end: a later statement takes another client. */
  readonly isRequest: boolean
  /** Statements outside of a transaction are run READ ONLY. */
  readonly isReadOnly?: boolean
  readonly deadline?: Deadline | undefined
  /** For engines whose statements are recorded or logged. */
  readonly recorder?: QueryRecorder | undefined
}
