import { STATUS_CODES } from 'node:http'
import { isPlainObject } from './describe-value.js'
import { failedStatement } from './failed-statement.js'
import { causesOf, findEngineError } from './http.js'

/**
 * The body that Fastify's default error handler has made of an error, as it may leave the server. It sends the
 * message of what was thrown; of a library's error around ours, that is the statement with its parameters. What an
 * application's own handler has written, it is left to answer for.
 */
export function replyBody(payload: string, thrown: Error, status: number): string {
  const found = findEngineError(thrown)
  if (found === thrown) return payload
  const isQuoted = found === undefined && quotesStatement(thrown)
  if (found === undefined && !isQuoted) return payload
  const body = parse(payload)
  if (body?.message !== thrown.message) return payload
  const own = found ?? { message: STATUS_CODES[status] ?? 'Unknown' }
  return JSON.stringify({ ...body, ...('code' in own && { code: own.code }), message: own.message })
}

function quotesStatement(thrown: Error): boolean {
  return causesOf(thrown).some(cause => {
    const statement = failedStatement(cause)
    return statement !== undefined && thrown.message.includes(statement)
  })
}

function parse(payload: string): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(payload)
    return isPlainObject(body) ? body : undefined
  } catch {
    return undefined
  }
}
