import pg, { type ClientConfig } from 'pg'
import type { EngineOptions } from '../options.js'
import type { UrlJudge } from '../url.js'

/** Session settings that go with the startup message, so that they cost no round trip and survive RESET ALL. */
export type SessionParameters = Readonly<Record<string, string>>

/** A `pg.Client` that sends session settings of ours with its startup message, besides its own. */
export class SessionClient extends pg.Client {
  readonly #parameters: SessionParameters
  readonly #defaults: SessionParameters
  /** Makes the sockets, where `connect_args` say so. */
  readonly streamFactory: unknown

  /** `defaults` count where the application's own `options` do not say otherwise. */
  constructor(
    config: ClientConfig,
    parameters: SessionParameters,
    defaults: SessionParameters = {}
  ) {
    super(config)
    this.#parameters = parameters
    this.#defaults = defaults
    this.streamFactory = typeof config.stream === 'function' ? config.stream : undefined
    // A URL without a password has an empty one for `pg`, which would hide the one in `connect_args`.
    if (config.password && !this.password) Reflect.set(this, 'password', config.password)
  }

  /** Overrides `pg.Client`'s, which its types leave out; a test holds that against the installed `pg`. */
  getStartupConf(): Record<string, unknown> {
    const inherited: unknown = Reflect.get(pg.Client.prototype, 'getStartupConf')
    if (typeof inherited !== 'function') return { ...this.#parameters }
    const own: Record<string, unknown> = inherited.call(this)
    // The server would have a parameter win over what `options` say of it.
    const options = String(own.options ?? '')
    const defaults = Object.entries(this.#defaults).filter(([name]) => !options.includes(name))
    return { ...Object.fromEntries(defaults), ...own, ...this.#parameters }
  }
}

/** Silence after which the kernel asks whether the peer is there; its own default is two hours. */
const KEEPALIVE_MS = 10_000

/** What `pg.Client` is given: the URL, `connect_args` untouched, and TCP keepalive unless they say otherwise. */
export function clientConfig(
  url: string,
  options: Pick<EngineOptions, 'connect_args'>
): ClientConfig {
  return {
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    ...options.connect_args,
    connectionString: url
  }
}

export function sessionParameters(options: EngineOptions): SessionParameters {
  if (options.isolation_level === undefined) return {}
  return { default_transaction_isolation: options.isolation_level.toLowerCase() }
}

/**
 * What `pg` cannot use about the settings, asked at boot instead of at the first request. Never with the URL in it, nor
 * `pg`'s own words, which may quote it.
 */
export const pgUrlFault: UrlJudge = (url, connectArgs) => {
  try {
    // The caller's own socket is asked for at a connect, and none is made here.
    const { stream, ...others } = clientConfig(url, { connect_args: { ...connectArgs } })
    const { host } = new pg.Client(others)
    return host?.includes(',') ? 'several hosts, which pg does not support' : undefined
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
    const reason = typeof code === 'string' ? ` (${code})` : ''
    return `one that pg cannot use${reason}`
  }
}

/** Where the configuration leads to, as `pg` understands it. */
export function targetOf(config: ClientConfig): { host: string; port: number; database: string } {
  // The application's own socket is asked for at a connect, and none is made here.
  const { stream, ...others } = config
  const { database, host, port } = new pg.Client(others)
  return { host, port, database: database ?? '' }
}
