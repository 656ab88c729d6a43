import type { FastifyPluginAsync } from 'fastify'

/** For load balancers. `ping()` never waits behind requests, so that an exhausted pool does not look like an outage. */
export const health: FastifyPluginAsync = async app => {
  app.get('/', async (_request, reply) => {
    const isUp = await app.db.ping().then(
      () => true,
      () => false
    )
    return reply
      .code(isUp ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status: isUp ? 'ok' : 'unavailable', database: app.db.status() })
  })
}
