import { describeValue, isPlainObject } from './describe-value.js'
import type { Environment } from './env.js'
import type { IsDisconnect } from './judge.js'
import { ON_ABORT, type OnAbort } from './on-abort.js'
import type { EngineOptionsInput } from './options.js'

/** What `app.register(dbPlugin, options)` takes. Explicit options win over the environment, key by key. */
export interface DbPluginOptions {
  /** Default: `DATABASE_URL`. */
  url?: string | undefined
  /** Default: `ENGINE_OPTIONS` (a JSON object) and `ENGINE_OPTIONS__<KEY>`. */
  engineOptions?: EngineOptionsInput | undefined
  /** A further database: `app.db.<name>` and `req.db.<name>`, from `<NAME>_DATABASE_URL`. Default: the one without a name. */
  name?: string | undefined
  /** Where the variables are read from. Default: `process.env`. */
  env?: Environment | undefined
  /** Overrides, both ways, what counts as a lost connection. */
  isDisconnect?: IsDisconnect | undefined
  /**
   * Answer database failures with RFC 9457 problems, whatever body the error handler sends; not where it sends another
   * status. Default: false.
   */
  problemJson?: boolean | undefined
  /** Boot only when the database answers; else the app boots while it is away, and requests wait for it. Default: false. */
  requireDatabase?: boolean | undefined
  /** What becomes of a request's statements when its HTTP client has left. Default: `cancel-reads`. */
  onAbort?: OnAbort | undefined
}

const KNOWN = new Set([
  'url',
  'engineOptions',
  'name',
  'env',
  'isDisconnect',
  'problemJson',
  'requireDatabase',
  'onAbort'
])
const FLAGS = new Set(['problemJson', 'requireDatabase'])
/** Fastify's own options of `register()`. */
const OF_FASTIFY = new Set(['prefix', 'logLevel', 'logSerializers'])

/** What is wrong with the options themselves; their contents are {@link readSettings}'s to judge. */
export function pluginOptionFaults(options: object): string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (key === 'isDisconnect' && value !== undefined && typeof value !== 'function') {
      return [`isDisconnect: expected a function, got ${describeValue(value)}`]
    }
    if (key === 'env' && value !== undefined && !isPlainObject(value)) {
      return [`env: expected an object such as process.env, got ${describeValue(value)}`]
    }
    if (FLAGS.has(key) && value !== undefined && typeof value !== 'boolean') {
      return [`${key}: expected true or false, got ${describeValue(value)}`]
    }
    if (key === 'onAbort' && value !== undefined && !ON_ABORT.includes(value)) {
      const expected = ON_ABORT.map(policy => JSON.stringify(policy)).join(' or ')
      return [`onAbort: expected ${expected}, got ${describeValue(value)}`]
    }
    if (KNOWN.has(key) || OF_FASTIFY.has(key)) return []
    const known = [...KNOWN].join(', ')
    return [`${key}: unknown option (from the plugin's options); known are ${known}`]
  })
}
