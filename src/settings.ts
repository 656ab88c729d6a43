import {
  describeValue,
  type Environment,
  environmentPrefix,
  isHarmlessKey,
  isPlainObject,
  readEnvironment,
  type Sourced
} from './env.js'
import { InvalidOptionsError } from './errors.js'
import {
  ENGINE_OPTION_NAMES,
  type EngineOptionName,
  type EngineOptions,
  type EngineOptionsInput,
  engineOptionsSchema,
  QUEUE_POOL_ONLY
} from './options.js'

/** Where settings come from: explicit ones win over the environment, key by key. */
export interface SettingsSource {
  url?: string | undefined
  engineOptions?: EngineOptionsInput | undefined
  /** Prefix of the environment variables: `reports` reads `REPORTS_DATABASE_URL`. */
  name?: string | undefined
  env?: Environment | undefined
}

export interface Settings {
  url: string
  engineOptions: EngineOptions
}

/**
 * Reads and validates the settings of one engine.
 *
 * @throws {InvalidOptionsError} naming every fault at once: option, what was expected, what was got, where
 *   it came from. Never the URL itself, nor a value of `connect_args`: they may hold a password.
 */
export function readSettings(source: SettingsSource): Settings {
  const env = source.env ?? process.env
  const prefix = environmentPrefix(source.name)
  const faults: string[] = []

  const url = readUrl(source.url, env, `${prefix}DATABASE_URL`, faults)
  const sourced = readEnvironment(env, `${prefix}ENGINE_OPTIONS`, faults)
  for (const [key, value] of Object.entries(readExplicit(source.engineOptions, faults))) {
    if (value !== undefined) sourced.set(key, { value, source: 'options.engineOptions' })
  }
  const engineOptions = validate(sourced, faults)

  if (faults.length > 0 || url === undefined || engineOptions === undefined) {
    throw invalidOptions(databaseSubject(source.name), faults)
  }
  return { url, engineOptions }
}

/** How a message calls a database. */
export function databaseSubject(name: string | undefined): string {
  return name === undefined ? 'the database' : `the database '${name}'`
}

/** One error for every fault found in the options of one thing. */
export function invalidOptions(subject: string, faults: string[]): InvalidOptionsError {
  return new InvalidOptionsError(`Invalid options for ${subject}:\n- ${faults.join('\n- ')}`)
}

function readUrl(
  explicit: unknown,
  env: Environment,
  variable: string,
  faults: string[]
): string | undefined {
  const source = explicit === undefined ? variable : 'options.url'
  const value = explicit === undefined ? env[variable] : explicit
  const expected = 'url: expected a URL such as postgres://user@host:5432/database'
  if (value === undefined || value === '') {
    faults.push(`${expected}, got nothing; set ${variable} or pass options.url`)
    return undefined
  }
  if (typeof value !== 'string') {
    faults.push(`${expected}, got ${typeof value} (from ${source})`)
    return undefined
  }
  if (!/^postgres(ql)?:\/\//i.test(value)) {
    faults.push(`${expected}, got text that does not start with postgres:// (from ${source})`)
    return undefined
  }
  return value
}

function readExplicit(options: unknown, faults: string[]): Record<string, unknown> {
  if (options === undefined) return {}
  if (isPlainObject(options)) return options
  faults.push(
    `engineOptions: expected an object, got ${describeValue(options)} (from options.engineOptions)`
  )
  return {}
}

function validate(sourced: Map<string, Sourced>, faults: string[]): EngineOptions | undefined {
  const isNullPool = sourced.get('poolclass')?.value === 'NullPool'
  const known: [string, unknown][] = []
  for (const [key, { value, source }] of sourced) {
    if (!isOptionName(key)) {
      const names = ENGINE_OPTION_NAMES.join(', ')
      const shown = isHarmlessKey(key) ? key : `a key of ${key.length} characters`
      faults.push(`${shown}: unknown option (from ${source}); known are ${names}`)
      continue
    }
    if (isNullPool && QUEUE_POOL_ONLY.has(key)) {
      faults.push(`${key}: not an option of poolclass "NullPool" (from ${source})`)
    }
    known.push([key, value])
  }
  const result = engineOptionsSchema.safeParse(Object.fromEntries(known))
  if (result.success) return result.data

  const faulty = new Set(result.error.issues.map(issue => String(issue.path[0])))
  for (const key of faulty) {
    const { value, source } = sourced.get(key) ?? { value: undefined, source: 'nowhere' }
    const isSecret = key === 'connect_args' && typeof value === 'string'
    const got = isSecret ? 'a string' : describeValue(value)
    faults.push(`${key}: expected ${expectation(key)}, got ${got} (from ${source})`)
  }
  return undefined
}

function isOptionName(key: string): key is EngineOptionName {
  return Object.hasOwn(engineOptionsSchema.shape, key)
}

function expectation(key: string): string {
  return isOptionName(key) ? describedBy(engineOptionsSchema.shape[key]) : 'another value'
}

/** A default or an optional wraps the described schema and does not repeat its description. */
function describedBy(schema: { description?: string | undefined; unwrap?(): unknown }): string {
  if (schema.description !== undefined) return schema.description
  const inner = schema.unwrap?.()
  return isPlainObject(inner) ? describedBy(inner) : 'another value'
}
