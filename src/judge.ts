import type { ClientBase } from 'pg'
import type { Client } from './client/client.js'
import { classify, isDriverError, type Phase, type Scope, type Verdict } from './disconnect.js'
import { EngineError } from './errors.js'
import type { Roles } from './roles.js'

/** What the `isDisconnect` hook is told besides the error. */
export interface DisconnectContext {
  readonly phase: Phase
  /** The client the error came from, before anything is done to it; none while connecting. */
  readonly client: ClientBase | undefined
  /** What the engine makes of the error on its own. */
  readonly disconnect: boolean
  readonly scope: Scope
}

/**
 * Overrides, both ways, whether an error is a lost connection and which clients it costs; `undefined` leaves it to
 * the engine. SQLAlchemy's `handle_error` event.
 */
export type IsDisconnect = (
  error: unknown,
  context: DisconnectContext
) => boolean | { disconnect: boolean; scope?: 'client' | 'generation' } | undefined

export type Judge = (error: unknown, phase: Phase, client: Client | undefined) => Verdict

const NOT_OURS: Verdict = { failure: 'statement', scope: 'none' }

/**
 * Decides what an error means: the engine's table, and the application's hook over it. The hook is not asked about
 * programmer's mistakes and our own errors; one that throws is reported and overrides nothing.
 */
export function createJudge(
  hook: IsDisconnect | undefined,
  onHookError: (error: unknown) => void,
  roles?: Roles
): Judge {
  /** Of failed connects: each is judged once, however many wait for it. */
  const known = new WeakMap<Error, Verdict>()
  return (error, phase, client) => {
    if (error instanceof EngineError) return NOT_OURS
    if (phase !== 'connect' || !(error instanceof Error)) return judge(error, phase, client)
    const verdict = known.get(error) ?? judge(error, phase, client)
    known.set(error, verdict)
    return verdict
  }

  function judge(error: unknown, phase: Phase, client: Client | undefined): Verdict {
    const classified = classify(error, phase)
    const isRefusedWrite = classified.failure === 'read_only'
    const refused = isRefusedWrite && client ? roles?.refused(client.role) : undefined
    const verdict = refused ?? classified
    if (hook === undefined || !isDriverError(error)) return verdict
    try {
      const answer = hook(error, {
        phase,
        client: client?.raw,
        disconnect: verdict.failure === 'disconnect',
        scope: verdict.scope
      })
      return override(verdict, answer, phase)
    } catch (hookError) {
      onHookError(hookError)
      return verdict
    }
  }
}

/** What a hook may deny: that a session was lost, or that waiting for one helps. */
function isLoss({ failure }: Verdict): boolean {
  return failure === 'disconnect' || failure === 'unavailable' || failure === 'too_many_connections'
}

function override(verdict: Verdict, answer: ReturnType<IsDisconnect>, phase: Phase): Verdict {
  if (answer === undefined) return verdict
  const isDisconnect: unknown = typeof answer === 'object' ? answer?.disconnect : answer
  if (typeof isDisconnect !== 'boolean') {
    throw new TypeError(
      `Expected isDisconnect to return a boolean, { disconnect, scope } or undefined, got ${typeof answer}`
    )
  }
  if (!isDisconnect) return isLoss(verdict) ? NOT_OURS : verdict
  // There is no client to lose yet: what counts as a disconnect here is worth waiting for.
  if (phase === 'connect') return { failure: 'unavailable', scope: 'none' }
  const own = verdict.scope === 'none' ? 'generation' : verdict.scope
  const scope = typeof answer === 'object' ? (answer.scope ?? own) : own
  return { failure: 'disconnect', scope }
}
