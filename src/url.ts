import type { Sourced } from './env.js'

/** Looks closer at a URL than its text shows: what is wrong with it, in words without the URL; nothing if all is well. */
export type UrlJudge = (url: string, connectArgs: object) => string | undefined

/** How a message about a URL begins. */
export const URL_EXPECTED = 'url: expected a URL such as postgres://user@host:5432/database'

/**
 * The URL, as far as its text shows that it is one; or a fault that says where it came from, and never shows it:
 * it may hold a password.
 *
 * @param variable the environment variable that is to hold it if nothing was passed
 */
export function readUrl(
  { source, value }: Sourced,
  variable: string,
  faults: string[]
): string | undefined {
  if (value === undefined || value === '') {
    faults.push(`${URL_EXPECTED}, got nothing; set ${variable} or pass options.url`)
    return undefined
  }
  const fault = textFault(value)
  if (fault === undefined) return value as string
  faults.push(`${URL_EXPECTED}, got ${fault} (from ${source})`)
  return undefined
}

function textFault(value: unknown): string | undefined {
  if (typeof value !== 'string') return typeof value
  const [, login, rest] = /^postgres(?:ql)?:\/\/([^/?#]*)(.*)$/is.exec(value) ?? []
  if (login === undefined || rest === undefined) return 'text that does not start with postgres://'
  if (!isCutShort(login, rest)) return undefined
  return 'one whose user or password holds a # / or ? as it is: write %23 %2F or %3F'
}

/**
 * Whether a user or password has ended the part of the URL that it stands in: `postgres://user:12#x@host/db` is, read as a
 * URL, the host `user`. An `@` is no such character, and one in a parameter or in the name of the database is as it should be.
 */
function isCutShort(login: string, rest: string): boolean {
  if (/#.*@/s.test(rest)) return true
  if (login === '' || login.includes('@')) return false
  const isHost = /^(\[[^\]]*\]|[^:]*)(:\d*)?$/.test(login)
  if (!isHost && !login.includes(',')) return rest.includes('@')
  return /^\/[^?]*@[^?]*\//s.test(rest) || /^\?[^=]*@/s.test(rest)
}
