import { existsSync } from 'node:fs'
import { z } from 'zod'

/** The keys, and their order, are those of .env.example. */
const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  LOG_LEVEL: z.enum(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('info'),
  /** None: server.ts starts a PostgreSQL of our own. */
  DATABASE_URL: z.string().default(''),
  /** A JSON object. It, and ENGINE_OPTIONS__<KEY>, are the plugin's to check: see `env`. */
  ENGINE_OPTIONS: z.string().default('')
})

export interface Config extends z.output<typeof schema> {
  /** What all of it was read from, for the plugin to read its own part. */
  readonly env: NodeJS.ProcessEnv
}

/** @throws {Error} naming every variable that is not what it should be */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  // `PORT=` in a file means the default, not port 0.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const result = schema.safeParse(given)
  if (!result.success) throw new Error(`Invalid environment:\n${z.prettifyError(result.error)}`)
  return { ...result.data, env }
}

/** From the environment, and from a file .env where there is one; what is set already wins. */
export function loadConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env')
  return readConfig(process.env)
}
