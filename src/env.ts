import { describeValue, isHarmlessKey, isPlainObject } from './describe-value.js'

/** A value with the place it was written in, for the error message. */
export interface Sourced {
  value: unknown
  source: string
}

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `billing-eu` -> `BILLING_EU_`; no name, no prefix. */
export function environmentPrefix(name: string | undefined): string {
  return name === undefined ? '' : `${name.replace(/[^A-Za-z0-9]+/g, '_').toUpperCase()}_`
}

/**
 * Options from the environment: `variable` holds a JSON object, and single keys such as
 * `ENGINE_OPTIONS__POOL_RECYCLE=300` win over it. Values are JSON, or else text (Flask's convention).
 * What cannot be read is added to `faults`.
 */
export function readEnvironment(
  env: Environment,
  variable: string,
  faults: string[]
): Map<string, Sourced> {
  const sourced = new Map<string, Sourced>()
  for (const [key, value] of Object.entries(readJsonObject(env, variable, faults))) {
    sourced.set(key, { value, source: variable })
  }
  const prefix = `${variable}__`
  // What is inside an option comes after the option itself, whatever the order of the variables.
  const keys = Object.keys(env).filter(key => key.startsWith(prefix))
  for (const key of keys.sort((a, b) => depthOf(a) - depthOf(b))) {
    const text = env[key]
    if (text === undefined || text === '') continue
    const source = isHarmlessKey(key) ? key : `${prefix}…`
    setByPath(sourced, key.slice(prefix.length).split('__'), parseJson(text), source)
  }
  return sourced
}

function readJsonObject(
  env: Environment,
  variable: string,
  faults: string[]
): Record<string, unknown> {
  const text: unknown = env[variable]
  if (text === undefined) return {}
  if (typeof text !== 'string') {
    faults.push(`${variable}: expected the text of a JSON object, got ${describeValue(text)}`)
    return {}
  }
  if (text.trim() === '') return {}
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    faults.push(
      `${variable}: expected a JSON object, got text that is not JSON (${jsonFault(error)})`
    )
    return {}
  }
  if (isPlainObject(value)) return value
  faults.push(`${variable}: expected a JSON object, got ${describeValue(value)}`)
  return {}
}

function depthOf(key: string): number {
  return key.split('__').length
}

/** `POOL_RECYCLE` names an option; `CONNECT_ARGS__keepAlive` a key inside one, whose letters are kept. */
function setByPath(
  sourced: Map<string, Sourced>,
  path: string[],
  value: unknown,
  source: string
): void {
  const [head = '', ...rest] = path
  const option = head.toLowerCase()
  if (rest.length === 0) {
    sourced.set(option, { value, source })
    return
  }
  sourced.set(option, { value: withKey(sourced.get(option)?.value, rest, value), source })
}

/** The object with a key inside it set, as deep as the path goes. */
function withKey(outer: unknown, [key = '', ...rest]: string[], value: unknown): object {
  const entries = new Map(isPlainObject(outer) ? Object.entries(outer) : [])
  entries.set(key, rest.length === 0 ? value : withKey(entries.get(key), rest, value))
  return Object.fromEntries(entries)
}

/** What is not JSON is text, so that `NullPool` needs no quotes. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Only where: the parser's own words quote the text, and the text may hold a password. */
function jsonFault(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  const position = /position (\d+)/.exec(message)
  if (position) return `at position ${position[1]}`
  return /end of JSON/.test(message) ? 'it ends too early' : 'a word or a sign that JSON has not'
}
