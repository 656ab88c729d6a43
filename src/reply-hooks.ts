import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { systemClock } from './clock.js'
import { heldBack, heldBackWeb } from './held-back.js'
import { failureReply, findEngineError, toProblem } from './http.js'
import { PendingReply, setHead } from './pending-reply.js'
import { replyBody } from './reply-body.js'
import type { RequestScope } from './request-scope.js'
import {
  kFailure,
  kHeaders,
  kPending,
  kReply,
  kScope,
  kStartedAt,
  kThrown,
  scopeOf,
  stateOf
} from './request-state.js'
import { routeTransaction } from './route-config.js'

/** A request that never touches `req.db` costs no more than this. */
export function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const state = stateOf(request)
  state[kReply] = reply
  state[kStartedAt] = systemClock.now()
  // A hook that ran before this one has used the database already.
  state[kScope]?.endWith(reply.raw)
  done()
}

/** Where the reply may have to be taken back, what was set before this hook stays. */
export function keepHeaders(request: FastifyRequest, reply: FastifyReply): void {
  if (request.routeOptions.config.db?.transaction)
    stateOf(request)[kHeaders] = structuredClone(reply.getHeaders())
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

function isRepeatableByDesign(request: FastifyRequest): boolean {
  return request.routeOptions.config.db?.idempotent === true
}

/** An error handler, or what was still running, may have had an effect since Retry-After was decided on; from here on nothing has. */
function confirmRepeat(request: FastifyRequest, reply: FastifyReply): void {
  const { [kFailure]: failure, [kScope]: scope } = stateOf(request)
  if (!failure?.retryable || scope === null || isRepeatableByDesign(request)) return
  if (scope.ledger.permitsRepeat) {
    scope.ledger.seal()
    return
  }
  failure.retryable = false
  reply.removeHeader('retry-after')
}

/**
 * The last hook before the bytes leave: the transaction is decided, and the client given back. Where that takes time it
 * returns a promise, and Fastify catches what goes wrong behind it.
 */
export function onSend(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  done: (error: Error | null, payload?: unknown) => void
): Promise<unknown> | undefined {
  const { [kPending]: pending, [kScope]: scope, [kThrown]: thrown } = stateOf(request)
  if (pending !== null) {
    dropLate(request, payload)
    return undefined
  }
  const isPlain = thrown === null && reply.statusCode < 400 && typeof payload === 'string'
  if (!isPlain || scope?.hasTransaction) return decideAlone(request, reply, payload)
  // Nothing to be waited for: the most frequent reply by far is not to pay for promises.
  if (scope !== null) {
    scope.answering()
    scope.end()
  }
  done(null, payload)
  return undefined
}

/** As Fastify does, where it knows that there is a reply already. */
function dropLate(request: FastifyRequest, payload: unknown): void {
  if (isNodeStream(payload)) payload.destroy()
  // Of what was thrown the error handler has heard, and nothing at all is what an async handler returns that has sent.
  if (payload === undefined || stateOf(request)[kThrown] !== null) return
  request.log.warn('Reply was already sent, did you forget to "return reply"?')
}

async function decideAlone(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const state = stateOf(request)
  try {
    const decided = await decide(request, reply, payload)
    if (!reply.raw.headersSent) return decided
    // Somebody has answered past Fastify.
    return new Promise(() => {})
  } finally {
    state[kPending] = null
  }
}

async function decide(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const state = stateOf(request)
  if (state[kThrown] !== null && typeof payload === 'string') {
    payload = toldAsOurs(payload, state[kThrown], reply)
  }
  const pending = new PendingReply(reply)
  state[kPending] = pending
  if (state[kScope] === null && !mayStillUse(request, payload)) return payload
  const scope = scopeOf(request)
  scope.answering()
  const status = payload instanceof Response ? payload.status : reply.statusCode
  const isSuccess = status < 400 && state[kThrown] === null
  if (!isSuccess) {
    await scope.rollback()
    pending.restore()
  }
  confirmRepeat(request, reply)
  const isHeld = isSuccess && scope.hasTransaction
  const commit = () => commitOrTakeBack(scope, request, reply)
  if (hasNoBody(status)) {
    // Fastify would end the reply at once, and read the stream afterwards.
    if (isHeld && isNodeStream(payload)) await finished(payload.resume())
  } else if (isNodeStream(payload)) {
    const stream = isHeld ? heldBack(payload, commit) : payload
    // A slow reader must not hold a connection; the stream itself may still read from it.
    stream.once('close', () => scope.end())
    return stream
  } else if (payload instanceof ReadableStream) {
    // A web stream ends with the reply.
    return isHeld ? heldBackWeb(payload, commit) : payload
  } else if (payload instanceof Response && payload.body !== null) {
    return isHeld ? new Response(heldBackWeb(payload.body, commit), payload) : payload
  }
  if (isHeld) {
    await commit()
    pending.restore()
  }
  scope.end()
  return payload
}

function toldAsOurs(payload: string, thrown: Error, reply: FastifyReply): string {
  const body = replyBody(payload, thrown, reply.statusCode)
  if (body !== payload) reply.header('content-length', Buffer.byteLength(body))
  return body
}

/** A stream may begin to use the database when the reply is under way already. */
function mayStillUse(request: FastifyRequest, payload: unknown): boolean {
  if (routeTransaction(request.routeOptions.config.db) === undefined) return false
  return isStream(payload)
}

function isStream(payload: unknown): boolean {
  return isNodeStream(payload) || payload instanceof ReadableStream || payload instanceof Response
}

/** As RFC 9457 says, in place of whatever body the error would have got. */
export async function onSendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const failure = stateOf(request)[kFailure]
  // What the error handler made of it is its own affair; but an error of ours is told as one.
  if (failure === null || reply.statusCode !== failure.statusCode || isStream(payload))
    return payload
  confirmRepeat(request, reply)
  const body = JSON.stringify(toProblem(failure))
  reply.header('content-type', 'application/problem+json; charset=utf-8')
  reply.header('content-length', Buffer.byteLength(body))
  return body
}

/** What was promised with the reply (its status, a Location, an ETag, a cookie) is taken back with it. */
async function commitOrTakeBack(
  scope: RequestScope,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<void> {
  try {
    await scope.commit()
  } catch (error) {
    if (!reply.raw.headersSent) {
      setHead(reply, 500, stateOf(request)[kHeaders] ?? {})
    }
    throw error
  }
}

/** Whatever its payload is, as Fastify has it. */
function hasNoBody(status: number): boolean {
  return status < 200 || status === 204
}

function isNodeStream(payload: unknown): payload is Readable {
  if (payload instanceof Readable) return true
  return typeof payload === 'object' && payload !== null && 'pipe' in payload
}
