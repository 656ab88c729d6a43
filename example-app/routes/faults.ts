import type { FastifyPluginAsync } from 'fastify'
import pg from 'pg'
import type { EmbeddedPostgres } from '../embedded-postgres.js'

/** What try.ts does to the database. server.ts adds these routes to an embedded one only, which holds nobody's data. */
export const faults: FastifyPluginAsync<{ postgres: EmbeddedPostgres }> = async (app, options) => {
  const { postgres } = options

  /** Ends every session of the pool, as an administrator or a failover does. */
  app.post('/kill', async () => {
    const client = new pg.Client(postgres.url)
    await client.connect()
    try {
      const { rowCount } = await client.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where backend_type = 'client backend' and pid <> pg_backend_pid()`
      )
      return { killed: rowCount }
    } finally {
      await client.end()
    }
  })

  app.post('/restart', async () => {
    await postgres.restart()
    return { restarted: true }
  })
}
