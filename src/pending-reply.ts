import type { FastifyReply } from 'fastify'

/**
 * A reply while it is decided on, and Fastify does not count it as sent yet. It is the request's: what is sent, thrown or
 * set until it has left comes too late, as it does behind any other reply (https://fastify.dev/docs/latest/Reference/Reply/).
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
  }

  /** Has it leave as it was sent. */
  restore(): void {
    setHead(this.#reply, this.#statusCode, this.#headers)
  }
}

/** Gives a reply this status and these headers, and no others. */
export function setHead(reply: FastifyReply, statusCode: number, headers: object): void {
  for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
  reply.code(statusCode).headers(headers)
}
