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

/** What is to be sent: a promise where COMMIT or ROLLBACK comes first. */
function decide(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  const { [kScope]: known, [kThrown]: thrown } = stateOf(request)
  const isTold = thrown !== null && typeof payload === 'string'
  const told = isTold ? toldAsOurs(payload, thrown, reply) : payload
  if (known === null && !mayStillUse(request, told)) return told
  const scope = scopeOf(request)
  scope.answering()
  const status = told instanceof Response ? told.status : reply.statusCode
  const isSuccess = status < 400 && thrown === null
  if (isSuccess || !scope.isOpen) return release(request, reply, told, scope, status, isSuccess)
  return scope.rollback().then(() => {
    stateOf(request)[kPending]?.restore()
    return release(request, reply, told, scope, status, false)
  })
}

/** Has the reply leave, when what it says has been committed, and gives back what its request holds. */
function release(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
  scope: RequestScope,
  status: number,
  isSuccess: boolean
): unknown {
  confirmRepeat(request, reply)
  const isHeld = isSuccess && scope.hasTransaction
  const commit = () => commitOrTakeBack(scope, request, reply)
  const commitAndEnd = async () => {
    await commit()
    stateOf(request)[kPending]?.restore()
    scope.end()
    return payload
  }
  if (hasNoBody(status)) {
    // Fastify would end the reply at once, and read the stream afterwards.
    if (isHeld && isNodeStream(payload)) return finished(payload.resume()).then(commitAndEnd)
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
  if (isHeld && scope.isOpen) return commitAndEnd()
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
