import { build } from './app.js'
import { loadConfig } from './config.js'
import { startEmbeddedPostgres } from './embedded-postgres.js'
import { faults } from './routes/faults.js'
import { createTables } from './tables.js'

async function start(): Promise<void> {
  const config = loadConfig()
  const postgres = config.DATABASE_URL === '' ? await startEmbeddedPostgres() : undefined
  const app = await build(postgres ? { ...config, DATABASE_URL: postgres.url } : config)

  if (postgres) {
    await app.register(faults, { prefix: '/faults', postgres })
    await app.ready()
    await createTables(app.db)
    console.log('No DATABASE_URL is set, so this is a PostgreSQL of our own, gone when we end:')
    console.log(`  ${postgres.url}`)
  }

  const close = async (signal: NodeJS.Signals) => {
    app.log.info(`${signal}: closing`)
    await app.close()
    await postgres?.remove()
    app.log.info('closed')
  }
  // Once: a second Ctrl-C ends the process at once, and the embedded PostgreSQL still goes with it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)

  const address = await app.listen({ host: config.HOST, port: config.PORT })
  console.log(`Ready: ${address}/accounts`)
}

try {
  await start()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
