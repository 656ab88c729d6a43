import { finished } from 'node:stream'
import type { FastifyReply } from 'fastify'

/**
 * A reply while it is decided on. It has been sent, and Fastify is told so: what is sent or thrown from then on comes too
 * late, and neither hooks nor the handler go on behind a reply
 * (https://fastify.dev/docs/latest/Reference/Hooks/#respond-to-a-request-from-a-hook).
 */
export class PendingReply {
  readonly #reply: FastifyReply
  readonly #statusCode: number
  readonly #headers: ReturnType<FastifyReply['getHeaders']>

  constructor(reply: FastifyReply) {
    this.#reply = reply
    this.#statusCode = reply.statusCode
    this.#headers = { ...reply.getHeaders() }
    // Fastify adds cookies to the list that is there.
    const cookies = this.#headers['set-cookie']
    if (Array.isArray(cookies)) this.#headers['set-cookie'] = [...cookies]
    // Its own says whether the bytes have left.
    Object.defineProperty(reply, 'sent', { value: true, configurable: true })
    // Its own would be over where it is sent; whoever awaits a reply waits until it has left.
    const then = (onLeft: () => void, onFailed?: (error: Error) => void) => {
      finished(reply.raw, error => {
        if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') onFailed?.(error)
        else onLeft()
      })
    }
    Object.defineProperty(reply, 'then', { value: then, configurable: true })
  }

  /** Has it leave as it was sent, whatever has been set on it since. */
  restore(): void {
    setHead(this.#reply, this.#statusCode, this.#headers)
  }

  /** It is decided on, and about to leave. */
  release(): void {
    Reflect.deleteProperty(this.#reply, 'sent')
    Reflect.deleteProperty(this.#reply, 'then')
  }
}

/** Gives a reply this status and these headers, and no others. */
export function setHead(reply: FastifyReply, statusCode: number, headers: object): void {
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  reply.code(statusCode).headers(headers)
}
