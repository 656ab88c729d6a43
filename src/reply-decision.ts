import { validateHeaderName, validateHeaderValue } from 'node:http'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { heldBack, heldBackWeb } from './held-back.js'
import { setHead } from './pending-reply.js'
import { replyBody } from './reply-body.js'
import type { RequestScope } from './request-scope.js'
import { kFailure, kHeaders, kPending, kScope, kThrown, scopeOf, stateOf } from './request-state.js'
import { routeTransaction } from './route-config.js'

/** What is to be sent: a promise where COMMIT or ROLLBACK comes first. */
export function decide(request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  const { [kScope]: known, [kThrown]: thrown } = stateOf(request)
  const isTold = thrown !== null && typeof payload === 'string'
  const told = isTold ? toldAsOurs(payload, thrown, reply) : payload
  if (known === null && !mayStillUse(request, told)) return told
  const scope = scopeOf(request)
  scope.answering()
  const status = told instanceof Response ? told.status : reply.statusCode
  const isSuccess = status < 400 && thrown === null
  if (isSuccess || !scope.isOpen) return release(request, reply, told, scope, status, isSuccess)
  const stream = isNodeStream(told) ? watched(told) : undefined
  return scope.rollback().then(() => {
    if (stream?.failure !== undefined) throw stream.failure
    stateOf(request)[kPending]?.restore()
    return release(request, reply, told, scope, status, false)
  })
}

/** Fastify listens to a stream only when it gets it: what fails before that is the reply's error all the same. */
function watched(stream: Readable): { readonly failure: unknown } {
  const watch: { failure: unknown } = { failure: undefined }
  stream.once('error', error => {
    watch.failure = error
  })
  return watch
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
    // Fastify is about to answer 500, which must not be said of what was committed.
    if (isSendable(reply, payload)) await commit()
    else await scope.rollback()
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

function isSendable(reply: FastifyReply, payload: unknown): boolean {
  const isBody = typeof payload === 'string' || payload instanceof Uint8Array
  if (!isBody && payload !== null && payload !== undefined && !isStream(payload)) return false
  try {
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      validateHeaderName(name)
      for (const one of [value].flat()) validateHeaderValue(name, one as string)
    }
    return true
  } catch {
    return false
  }
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

export function isStream(payload: unknown): boolean {
  return isNodeStream(payload) || payload instanceof ReadableStream || payload instanceof Response
}

export function isRepeatableByDesign(request: FastifyRequest): boolean {
  return request.routeOptions.config.db?.idempotent === true
}

/** An error handler, or what was still running, may have had an effect since Retry-After was decided on; from here on nothing has. */
export function confirmRepeat(request: FastifyRequest, reply: FastifyReply): void {
  const { [kFailure]: failure, [kScope]: scope } = stateOf(request)
  if (!failure?.retryable || scope === null || isRepeatableByDesign(request)) return
  if (scope.ledger.permitsRepeat) {
    scope.ledger.seal()
    return
  }
  failure.retryable = false
  reply.removeHeader('retry-after')
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

export function isNodeStream(payload: unknown): payload is Readable {
  if (payload instanceof Readable) return true
  return typeof payload === 'object' && payload !== null && 'pipe' in payload
}
