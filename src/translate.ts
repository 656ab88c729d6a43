import type { Verdict } from './disconnect.js'
import {
  ContentionError,
  DisconnectedError,
  EngineError,
  type EngineErrorOptions,
  MisconfiguredError,
  OutcomeUnknownError,
  OverloadedError,
  PartlyAppliedError,
  PoolTimeoutError,
  ReadOnlyError,
  UnavailableError
} from './errors.js'
import { type Ledger, recordLedger } from './ledger.js'

/** Milliseconds until there may be a server again, or a client for those who wait. 0: as far as anybody can tell, now. */
export type Wait = (want: 'server' | 'client') => number

/**
 * The error as the application gets it: one of ours where the database failed the request, with what the ledger
 * knows; the driver's own where the statement was at fault.
 */
export function translate(
  error: unknown,
  verdict: Verdict,
  ledger: Ledger,
  wait: Wait = () => 0
): unknown {
  const translated = error instanceof EngineError ? error : ours(error, verdict, ledger)
  if (translated === undefined) return error
  // What an error allows by its kind, the request may have forfeited already.
  translated.retryable &&= ledger.permitsRepeat
  translated.outcome = ledger.outcome
  if (translated.statusCode === 503) translated.retryAfter ??= secondsAfter(translated, wait)
  recordLedger(translated, ledger)
  return translated
}

/** Never sooner than it makes sense; later by chance, so that those turned away together do not come back together. */
function secondsAfter(error: EngineError, wait: Wait): number {
  const isForClient = error instanceof PoolTimeoutError || error instanceof OverloadedError
  const seconds = wait(isForClient ? 'client' : 'server') / 1000
  return seconds > 1 ? seconds * (1 + JITTER * Math.random()) : 1
}

const JITTER = 0.5

function ours(cause: unknown, verdict: Verdict, ledger: Ledger): EngineError | undefined {
  const options: EngineErrorOptions = {
    cause,
    connectionInvalidated: verdict.scope !== 'none'
  }
  switch (verdict.failure) {
    case 'disconnect':
      return disconnected(options, ledger)
    case 'unavailable':
    case 'too_many_connections':
      return new UnavailableError(options)
    case 'misconfigured':
      return new MisconfiguredError(options)
    case 'contention':
      return new ContentionError(options)
    case 'read_only':
      return new ReadOnlyError(options)
    case 'statement':
      return undefined
  }
}

function disconnected(options: EngineErrorOptions, ledger: Ledger): EngineError {
  switch (ledger.outcome) {
    case 'none':
    case 'rolled_back':
      return new DisconnectedError(options)
    case 'applied':
      return new PartlyAppliedError(options)
    case 'unknown':
      return new OutcomeUnknownError(options)
  }
}
