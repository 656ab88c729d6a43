import type { FastifyReply, FastifyRequest } from 'fastify'
import { systemClock } from './clock.js'
import type { EngineError } from './errors.js'
import { isSafe } from './http.js'
import type { PendingReply } from './pending-reply.js'
import { RequestScope } from './request-scope.js'
import { type RouteDatabaseConfig, requestLimit } from './route-config.js'
import type { Deadline } from './stop-sign.js'

export const kScope = Symbol('fastify-pg-engine.scope')
export const kPending = Symbol('fastify-pg-engine.pending')
export const kReply = Symbol('fastify-pg-engine.reply')
export const kFailure = Symbol('fastify-pg-engine.failure')
export const kHeaders = Symbol('fastify-pg-engine.headers')
export const kThrown = Symbol('fastify-pg-engine.thrown')
export const kStartedAt = Symbol('fastify-pg-engine.startedAt')

/** What the hooks keep on a request. */
export interface RequestState {
  [kScope]: RequestScope | null
  [kReply]: FastifyReply | null
  /** The engine's error that the reply fails with. */
  [kFailure]: EngineError | null
  /** The reply's headers behind the `onRequest` hooks, for routes that may have to take back what was set since. */
  [kHeaders]: Readonly<Record<string, unknown>> | null
  /** The reply that is being decided on. */
  [kPending]: PendingReply | null
  /** What was thrown, whatever the application's error handler has made of it. */
  [kThrown]: Error | null
  /** Clock reading at its arrival. */
  [kStartedAt]: number | null
}

export function stateOf(request: FastifyRequest): RequestState {
  return request as unknown as RequestState
}

/** What the request holds, from the first time that it is asked for. */
export function scopeOf(request: FastifyRequest): RequestScope {
  const state = stateOf(request)
  const known = state[kScope]
  if (known !== null) return known
  // Fastify makes these anew each time they are asked for.
  const { config, handlerTimeout } = request.routeOptions
  const scope = new RequestScope(config.db, {
    isSafe: isSafe(request.method),
    deadline: deadlineOf(config.db, handlerTimeout, state)
  })
  state[kScope] = scope
  const reply = state[kReply]
  if (reply) scope.endWith(reply.raw)
  return scope
}

function deadlineOf(
  config: RouteDatabaseConfig | undefined,
  handlerTimeout: number,
  state: RequestState
): Deadline | undefined {
  if (requestLimit(config, handlerTimeout) === undefined) return undefined
  const startedAt = state[kStartedAt] ?? systemClock.now()
  return () => {
    // Fastify's own limit is about replies that it sends: a hijacked one has none.
    const isHijacked = state[kReply]?.sent && !state[kScope]?.isAnswering
    const limit = requestLimit(config, isHijacked ? 0 : handlerTimeout)
    return limit === undefined ? undefined : startedAt + limit
  }
}
