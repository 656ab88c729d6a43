import type { FastifyInstance, FastifyRequest } from 'fastify'

/** Refusals beyond this many are not remembered, lest the bench itself fills the memory. */
const REMEMBERED = 50_000

/** How long the app took to refuse, from the arrival of a request to its 503, in milliseconds; each is told once. */
export function refusals(app: FastifyInstance): () => number[] {
  const arrivedAt = new WeakMap<FastifyRequest, number>()
  let times: number[] = []
  app.addHook('onRequest', async request => {
    arrivedAt.set(request, performance.now())
  })
  app.addHook('onSend', async (request, reply) => {
    if (reply.statusCode !== 503 || times.length >= REMEMBERED) return
    times.push(performance.now() - (arrivedAt.get(request) ?? 0))
  })
  return () => {
    const told = times
    times = []
    return told
  }
}
