import type { Verdict } from './disconnect.js'
import {
  ContentionError,
  DisconnectedError,
  EngineError,
  type EngineErrorOptions,
  MisconfiguredError,
  OutcomeUnknownError,
  PartlyAppliedError,
  ReadOnlyError,
  UnavailableError
} from './errors.js'
import { type Ledger, recordLedger } from './ledger.js'

/** Seconds after which a repetition makes sense, as long as nothing measures how long an outage lasts. */
const RETRY_AFTER_SECONDS = 1

/**
 * The error as the application gets it: one of ours where the database failed the request, with what the ledger
 * knows; the driver's own where the statement was at fault.
 */
export function translate(error: unknown, verdict: Verdict, ledger: Ledger): unknown {
  const translated = error instanceof EngineError ? error : ours(error, verdict, ledger)
  if (translated === undefined) return error
  // What an error allows by its kind, the request may have forfeited already.
  translated.retryable &&= ledger.permitsRepeat
  translated.outcome = ledger.outcome
  if (translated.statusCode === 503) translated.retryAfter ??= RETRY_AFTER_SECONDS
  recordLedger(translated, ledger)
  return translated
}

function ours(cause: unknown, verdict: Verdict, ledger: Ledger): EngineError | undefined {
  const options: EngineErrorOptions = {
    cause,
    connectionInvalidated: verdict.scope !== 'none'
  }
  switch (verdict.failure) {
    case 'disconnect':
      return disconnected(options, ledger)
    case 'unavailable':
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
