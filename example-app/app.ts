import Fastify, { type FastifyInstance, LogController } from 'fastify'
import dbPlugin from 'fastify-pg-engine'
import type { Config } from './config.js'
import { sendProblem } from './http-error.js'
import { accounts } from './routes/accounts.js'
import { health } from './routes/health.js'
import { transfers } from './routes/transfers.js'

/** The service, listening nowhere yet: server.ts gives it a port, tests inject requests. */
export async function build(config: Config): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: config.LOG_LEVEL },
    logController: new LogController({ disableRequestLogging: true })
  })
  app.setErrorHandler(sendProblem)
  await app.register(dbPlugin, { url: config.DATABASE_URL, env: config.env })
  await app.register(accounts, { prefix: '/accounts' })
  await app.register(transfers, { prefix: '/transfers' })
  await app.register(health, { prefix: '/health' })
  return app
}
