import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EngineError } from './errors.js'
import { heldBack, heldBackWeb } from './held-back.js'
import { failureReply, findEngineError, toProblem } from './http.js'
import type { RequestScope } from './request-scope.js'

export const kScope = Symbol('fastify-pg-engine.scope')
export const kReply = Symbol('fastify-pg-engine.reply')
export const kFailure = Symbol('fastify-pg-engine.failure')
export const kHeaders = Symbol('fastify-pg-engine.headers')

/** What the hooks keep on a request. */
export interface RequestState {
  [kScope]: RequestScope | null
  [kReply]: FastifyReply | null
  /** The engine's error that the reply fails with. */
  [kFailure]: EngineError | null
  /** The reply's headers when the request began, for routes that may have to take back what was set since. */
  [kHeaders]: Readonly<Record<string, unknown>> | null
}

export function stateOf(request: FastifyRequest): RequestState {
  return request as unknown as RequestState
}

/** A request that never touches `req.db` costs no more than this. */
export function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const state = stateOf(request)
  state[kReply] = reply
  if (request.routeOptions.config.db?.transaction) state[kHeaders] = { ...reply.getHeaders() }
  // A hook that ran before this one has used the database already.
  state[kScope]?.endWith(reply.raw)
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
  const found = findEngineError(error)
  if (found !== undefined) {
    state[kFailure] = found
    const { mayRepeat, statusCode, headers } = failureReply(found, {
      method: request.method,
      ledger: state[kScope]?.ledger,
      isIdempotent: request.routeOptions.config.db?.idempotent === true
    })
    // What the error allows by its kind is for this request to confirm: a body must not say otherwise than the header.
    found.retryable = mayRepeat
    reply.code(statusCode).headers(headers)
  }
  done()
}

/** The last hook before the bytes leave: the transaction is decided, and the client given back. */
export async function onSend(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const scope = stateOf(request)[kScope]
  if (scope === null) return payload
  const isSuccess = reply.statusCode < 400
  if (!isSuccess) await scope.rollback()
  if (isNodeStream(payload)) return sendStream(scope, payload, isSuccess)
  // A web stream ends with the reply.
  if (payload instanceof ReadableStream) return isSuccess ? holdWeb(scope, payload) : payload
  if (payload instanceof Response) return isSuccess ? holdResponse(scope, payload) : payload
  if (isSuccess) await commit(scope, request, reply)
  scope.end()
  return payload
}

/** As RFC 9457 says, in place of whatever body the error would have got. */
export async function onSendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const failure = stateOf(request)[kFailure]
  if (failure === null || typeof payload !== 'string') return payload
  const body = JSON.stringify(toProblem(failure))
  reply.header('content-type', 'application/problem+json; charset=utf-8')
  reply.header('content-length', Buffer.byteLength(body))
  return body
}

/** What was promised with the reply (a Location, an ETag, a cookie) is taken back with it. */
async function commit(
  scope: RequestScope,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<void> {
  try {
    await scope.commit()
  } catch (error) {
    const before = stateOf(request)[kHeaders] ?? {}
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.headers(before as Record<string, string>)
    throw error
  }
}

/** A slow reader must not hold a connection; the stream itself may still read from it. */
function sendStream(scope: RequestScope, payload: Readable, isSuccess: boolean): Readable {
  const stream =
    isSuccess && scope.hasTransaction ? heldBack(payload, () => scope.commit()) : payload
  stream.once('close', () => scope.end())
  return stream
}

function holdWeb(scope: RequestScope, payload: ReadableStream): ReadableStream {
  return scope.hasTransaction ? heldBackWeb(payload, () => scope.commit()) : payload
}

function holdResponse(scope: RequestScope, payload: Response): Response {
  if (!scope.hasTransaction || payload.body === null) return payload
  return new Response(holdWeb(scope, payload.body), payload)
}

function isNodeStream(payload: unknown): payload is Readable {
  if (payload instanceof Readable) return true
  return typeof payload === 'object' && payload !== null && 'pipe' in payload
}
