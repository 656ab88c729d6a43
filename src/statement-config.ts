import type { QueryConfig } from 'pg'
import { describeValue } from './describe-value.js'

/**
 * What a statement is given as, made one of its two forms.
 *
 * @throws {TypeError} it is none
 */
export function toConfig<Config extends QueryConfig>(query: string | Config): Config {
  if (typeof query === 'string') return { text: query } as Config
  if (typeof query !== 'object' || query === null || Array.isArray(query)) {
    throw new TypeError(
      `Expected a statement to be a text, or an object with its text, got ${describeValue(query)}`
    )
  }
  const text: unknown = query.text
  if (typeof text !== 'string' && text !== undefined && text !== null) {
    throw new TypeError(
      `Expected the text of a statement to be a string, got ${describeValue(text)}`
    )
  }
  const readOnly: unknown = Reflect.get(query, 'readOnly')
  if (readOnly === undefined || typeof readOnly === 'boolean') return query
  throw new TypeError(`Expected readOnly to be true or false, got ${describeValue(readOnly)}`)
}

/**
 * As {@link toConfig}, for all that run together.
 *
 * @throws {TypeError} they are no array, or one of them is no statement
 */
export function toConfigs(statements: readonly (string | QueryConfig)[]): QueryConfig[] {
  if (Array.isArray(statements)) return statements.map(toConfig)
  throw new TypeError(`Expected an array of statements, got ${describeValue(statements)}`)
}

/**
 * `pg` would call it, and return nothing.
 *
 * @throws {TypeError} there is one
 */
export function assertNoCallback(values: unknown, callback: unknown): void {
  if (!callback && typeof values !== 'function') return
  throw new TypeError('Expected no callback: query() returns a promise')
}
