import { describeValue, isHarmlessKey, isPlainObject } from './describe-value.js'
import { type Environment, environmentPrefix, readEnvironment, type Sourced } from './env.js'
import { InvalidOptionsError } from './errors.js'
import {
  ENGINE_OPTION_NAMES,
  type EngineOptionName,
  type EngineOptions,
  type EngineOptionsInput,
  engineOptionsSchema,
  QUEUE_POOL_ONLY
} from './options.js'
import { readUrl, URL_EXPECTED, type UrlJudge } from './url.js'

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
 * @param faults what is wrong already, to be told with the rest
 * @param judgeUrl what the driver has to say of the URL
 * @throws {InvalidOptionsError} naming every fault at once: option, what was expected, what was got, where
 *   it came from. Never the URL itself, nor a value of `connect_args`: they may hold a password.
 */
export function readSettings(
  source: SettingsSource,
  faults: string[] = [],
  judgeUrl: UrlJudge = () => undefined
): Settings {
  // What is no environment, or no name, is among the faults already.
  const env = isPlainObject(source.env ?? {}) ? (source.env ?? process.env) : {}
  const name = typeof source.name === 'string' ? source.name : undefined
  const prefix = environmentPrefix(name)

  const variable = `${prefix}DATABASE_URL`
  const given =
    source.url === undefined
      ? { value: env[variable], source: variable }
      : { value: source.url, source: 'options.url' }
  const url = readUrl(given, variable, faults)
  const sourced = readEnvironment(env, `${prefix}ENGINE_OPTIONS`, faults)
  faults.push(...misspeltKeys(env, `${prefix}ENGINE_OPTIONS`))
  for (const [key, value] of Object.entries(readExplicit(source.engineOptions, faults))) {
    if (value !== undefined) sourced.set(key, { value, source: 'options.engineOptions' })
  }
  const engineOptions = validate(sourced, faults)
  const urlFault = url && judgeUrl(url, engineOptions?.connect_args ?? {})
  if (urlFault) faults.push(`${URL_EXPECTED}, got ${urlFault} (from ${given.source})`)

  if (faults.length > 0 || url === undefined || engineOptions === undefined) {
    throw invalidOptions(databaseSubject(name), faults)
  }
  return { url, engineOptions }
}

/** Options that would be ignored for want of an underscore. */
function misspeltKeys(env: Environment, variable: string): string[] {
  const prefix = `${variable}_`
  return Object.keys(env).flatMap(key => {
    if (!key.startsWith(prefix) || key.startsWith(`${prefix}_`)) return []
    const rest = key.slice(prefix.length)
    const [option = ''] = rest.toLowerCase().split('__')
    if (!isOptionName(option) || !env[key]) return []
    return [
      `${option}: expected in ${prefix}_${option.toUpperCase()}, with two underscores, got it in ${prefix}${option.toUpperCase()}`
    ]
  })
}

/** How a message calls a database. */
function databaseSubject(name: string | undefined): string {
  return name === undefined ? 'the database' : `the database '${name}'`
}

/** One error for every fault found in the options of one thing. */
export function invalidOptions(subject: string, faults: string[]): InvalidOptionsError {
  return new InvalidOptionsError(`Invalid options for ${subject}:\n- ${faults.join('\n- ')}`)
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
