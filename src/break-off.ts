/** The part of `reply.raw` that ends it before its time. */
interface Destroyable {
  /** Of HTTP/2 only. */
  readonly stream?: unknown
  destroy(error?: Error): unknown
}

/**
 * Has a reply that is destroyed in the middle of its body look like it: over HTTP/2 one that is destroyed without an
 * error, as Fastify does it when a stream fails, ends for its client as if nothing were missing.
 */
export function breakOffVisibly(response: Destroyable): void {
  if (response.stream === undefined) return
  const destroy = response.destroy.bind(response)
  response.destroy = error => destroy(error ?? new Error('The reply broke off'))
}
