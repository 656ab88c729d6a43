export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Text that is plainly a word or a number is shown; anything longer or stranger may be a secret in the wrong place. */
const HARMLESS_TEXT = /^[\w .+-]{0,24}$/

/** Whether a key may be shown: what is no word is a value in the wrong place, and may be a secret. */
export function isHarmlessKey(key: string): boolean {
  return /^[\w-]{1,100}$/.test(key)
}

/** A value for an error message: what it is and, where that gives nothing away, the value. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value !== 'string') return `${String(value)} (${typeof value})`
  if (HARMLESS_TEXT.test(value)) return `${JSON.stringify(value)} (string)`
  return `a string of ${value.length} characters`
}
