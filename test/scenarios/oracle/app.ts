import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import dbPlugin, { toProblem } from 'fastify-pg-engine'
import type { RequestKind } from './kinds.js'

/** An app that serves the kinds by POST, listening. */
export async function listen(
  url: string,
  kinds: readonly RequestKind[],
  options: { isVerified?: boolean; isWatched?: boolean } = {}
) {
  const app = Fastify()
  // Long enough for any machine: a connection that has just served is not verified, or is, and not by chance.
  const pool_pre_ping_window = options.isVerified ? 0 : 60
  // As fast as silence can be found out.
  const timeouts = options.isWatched ? { half_open_timeout: 1, connect_timeout: 1 } : {}
  const engineOptions = { pool_pre_ping_window, ...timeouts }
  await app.register(dbPlugin, { url, env: {}, engineOptions })
  app.setErrorHandler((error, _request, reply) => {
    const problem = toProblem(error)
    if (reply.statusCode < 400) reply.code(problem.status)
    return reply.send(problem)
  })
  for (const [index, { config, handle }] of kinds.entries()) {
    app.post<{ Params: { key: string } }>(
      `/${index}/:key`,
      { config: { db: (config ?? {}) as never } },
      request => handle(request.db as never, request.params.key)
    )
  }
  app.get('/pid', async request => {
    const { rows } = await request.db.query<{ pid: number }>('select pg_backend_pid() pid')
    return rows[0]
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  return {
    app,
    url: (kind: RequestKind, key: string) => `${origin}/${kinds.indexOf(kind)}/${key}`
  }
}
