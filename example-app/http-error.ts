import type { FastifyReply, FastifyRequest } from 'fastify'
import { toProblem } from 'fastify-pg-engine'
import type { z } from 'zod'

/** A refusal that the client can do something about: its message says what. */
export class HttpError extends Error {
  readonly statusCode: number
  readonly code: string

  constructor(statusCode: number, code: string, message: string) {
    super(message)
    this.statusCode = statusCode
    this.code = code
  }
}

/**
 * Input as the schema describes it.
 *
 * @throws {HttpError} 400, with what was expected
 */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown
): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`
  )
  throw new HttpError(400, 'INVALID_REQUEST', faults.join('; '))
}

/**
 * Sends an RFC 9457 problem. For an error of the database the plugin has set the headers already (Retry-After,
 * Cache-Control) and `toProblem` knows what to say; of any other error of 500 and above nothing is told.
 */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const problem = toProblem(error)
  // 503 is the outage's, which the plugin logs once; 500 is somebody's mistake.
  if (problem.status === 500) request.log.error({ err: error }, 'the request failed')
  const explanation = problem.status < 500 ? explain(error) : {}
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .send({ ...problem, ...explanation })
}

function explain(error: unknown) {
  if (!(error instanceof Error)) return {}
  return { code: Reflect.get(error, 'code'), detail: error.message }
}
