import type { FastifyReply, FastifyRequest } from 'fastify'
import { systemClock } from './clock.js'
import { failureReply, findEngineError, toProblem } from './http.js'
import { PendingReply } from './pending-reply.js'
import {
  confirmRepeat,
  decide,
  isNodeStream,
  isRepeatableByDesign,
  isStream
} from './reply-decision.js'
import {
  kFailure,
  kHeaders,
  kPending,
  kReply,
  kScope,
  kStartedAt,
  kThrown,
  stateOf
} from './request-state.js'

/** A request that never touches `req.db` costs no more than this. */
export function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const state = stateOf(request)
  state[kReply] = reply
  state[kStartedAt] = systemClock.now()
  // A hook that ran before this one has used the database already.
  state[kScope]?.endWith(reply.raw)
  done()
}

/** Where the reply may have to be taken back, what the `onRequest` hooks have set stays. */
export function keepHeaders(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  stateOf(request)[kHeaders] = structuredClone(reply.getHeaders())
  done()
}

/** In a hook, since what it sets survives the application's own error handler, whatever that sends. */
export function onError(
  request: FastifyRequest,
  reply: FastifyReply,
  error: Error,
  done: () => void
): void {
  const state = stateOf(request)
  state[kThrown] = error
  const found = findEngineError(error)
  if (found !== undefined) {
    state[kFailure] = found
    const ledger = state[kScope]?.ledger
    const isIdempotent = isRepeatableByDesign(request)
    const { mayRepeat, statusCode, headers } = failureReply(found, {
      method: request.method,
      ledger,
      isIdempotent
    })
    // What the error allows by its kind is for this request to confirm: a body must not say otherwise than the header.
    found.retryable = mayRepeat
    if (mayRepeat && !isIdempotent) ledger?.cutOff()
    reply.code(statusCode).headers(headers)
  }
  done()
}

/** The last hook before the bytes leave: the transaction is decided, and the client given back. */
export function onSend(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: Done
): void {
  const { [kPending]: pending, [kScope]: scope, [kThrown]: thrown } = stateOf(request)
  if (pending !== null) {
    // Sent before the other one, and overtaken by it in somebody's hook.
    if (isNodeStream(payload)) payload.destroy()
    return
  }
  const isPlain = thrown === null && reply.statusCode < 400 && typeof payload === 'string'
  if (isPlain && !scope?.hasTransaction) {
    scope?.answering()
    scope?.end()
    done(null, payload)
    return
  }
  const decided = decide(request, reply, payload)
  // At once where there is nothing to wait for, or Fastify would go on as if nothing had been sent yet.
  if (decided instanceof Promise) void sendWhenDecided(request, reply, decided, done)
  else done(null, decided)
}

type Done = (error: Error | null, payload?: unknown) => void

/** Ends as Fastify's own hooks do that take their time: what throws behind it is the reply's error. */
async function sendWhenDecided(
  request: FastifyRequest,
  reply: FastifyReply,
  deciding: Promise<unknown>,
  done: Done
): Promise<void> {
  const state = stateOf(request)
  const pending = new PendingReply(reply)
  state[kPending] = pending
  const send = (...decided: Parameters<Done>) => {
    pending.release()
    state[kPending] = null
    // Somebody may have answered past Fastify.
    if (!reply.raw.writableEnded) done(...decided)
  }
  try {
    send(null, await deciding)
  } catch (error) {
    try {
      send(error as Error)
    } catch (failure) {
      reply.raw.destroy(failure as Error)
    }
  }
}

/** As RFC 9457 says, in place of whatever body the error would have got. */
export function onSendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: Done
): void {
  const failure = stateOf(request)[kFailure]
  // What the error handler made of it is its own affair; but an error of ours is told as one.
  if (failure === null || reply.statusCode !== failure.statusCode || isStream(payload)) {
    done(null, payload)
    return
  }
  confirmRepeat(request, reply)
  const body = JSON.stringify(toProblem(failure))
  reply.header('content-type', 'application/problem+json; charset=utf-8')
  reply.header('content-length', Buffer.byteLength(body))
  done(null, body)
}
