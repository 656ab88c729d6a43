import { describeValue } from './describe-value.js'
import type { TransactionOptions } from './queryable.js'

const ISOLATION_LEVELS: ReadonlySet<string | undefined> = new Set([
  undefined,
  'READ UNCOMMITTED',
  'READ COMMITTED',
  'REPEATABLE READ',
  'SERIALIZABLE'
])

/**
 * The BEGIN that the options ask for; `isReadOnly`: it is READ ONLY, whatever they say.
 *
 * @throws {TypeError} an unknown option, or a value that it does not take: it must not look as if it had worked, nor
 * become SQL
 */
export function beginText(options: TransactionOptions, isReadOnly = false): string {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected transaction options in an object, got ${describeValue(options)}`)
  }
  const { isolationLevel, readOnly, deferrable, ...others } = options
  const { retries: _retries, signal: _signal, ...unknown } = others
  const [key] = Object.keys(unknown)
  if (key !== undefined) {
    throw new TypeError(
      `Expected isolationLevel, readOnly, deferrable, retries or signal as transaction option, got '${key}'`
    )
  }
  if (!ISOLATION_LEVELS.has(isolationLevel)) {
    throw new TypeError(`Expected one of PostgreSQL's isolation levels, got '${isolationLevel}'`)
  }
  const modes: string[] = []
  if (isolationLevel !== undefined) modes.push(`ISOLATION LEVEL ${isolationLevel}`)
  if (isOn('readOnly', readOnly) || isReadOnly) modes.push('READ ONLY')
  else if (readOnly !== undefined) modes.push('READ WRITE')
  if (isOn('deferrable', deferrable)) modes.push('DEFERRABLE')
  else if (deferrable !== undefined) modes.push('NOT DEFERRABLE')
  return modes.length === 0 ? 'BEGIN' : `BEGIN ${modes.join(', ')}`
}

function isOn(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw new TypeError(`Expected ${name} to be true or false, got ${describeValue(value)}`)
}
