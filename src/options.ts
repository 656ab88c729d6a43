import { z } from 'zod'

/** Node.js timers are 32-bit milliseconds: more seconds than this would fire at once. */
const MAX_SECONDS = 2_147_483

const count = (min: number) => z.int().min(min).describe(`a whole number, ${min} or more`)

const seconds = () =>
  z.number().min(0).max(MAX_SECONDS).describe(`a number of seconds from 0 to ${MAX_SECONDS}`)

const positiveSeconds = () =>
  z.number().gt(0).max(MAX_SECONDS).describe(`a number of seconds above 0, at most ${MAX_SECONDS}`)

const flag = () => z.boolean().describe('true or false')

const oneOf = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values).describe(values.map(value => JSON.stringify(value)).join(' or '))

/**
 * Every `ENGINE_OPTIONS` key: name, bounds, default. Names and meanings are SQLAlchemy's where it has them
 * (https://docs.sqlalchemy.org/en/20/core/engines.html#sqlalchemy.create_engine); times are seconds.
 * The description of each is what an error message says was expected.
 */
export const engineOptionsSchema = z.strictObject({
  /** Clients kept open when idle. 0 = no limit, whatever `max_overflow` says. */
  pool_size: count(0).default(5),
  /** Clients opened beyond `pool_size` under load. -1 = no limit. */
  max_overflow: count(-1).default(10),
  /** Bound on a whole checkout: waiting, connecting, pinging. 0 = do not wait for a client in use. */
  pool_timeout: seconds().default(30),
  /** Maximum age of a client. -1 = none. */
  pool_recycle: z
    .union([z.literal(-1), z.number().gt(0).max(MAX_SECONDS)])
    .describe(`a number of seconds above 0, at most ${MAX_SECONDS}, or -1`)
    .default(300),
  /** Each client's own age limit is up to this fraction shorter, so that they never expire together. */
  pool_recycle_jitter: z.number().min(0).max(1).describe('a number from 0 to 1').default(0.2),
  /** Verify a client before it is lent. */
  pool_pre_ping: flag().default(true),
  /** A client heard from this recently is alive. 0 = verify at every checkout. */
  pool_pre_ping_window: seconds().default(0.5),
  /** A client that answers a ping later than this is dead. */
  pool_pre_ping_timeout: positiveSeconds().default(1),
  /** Lend the client returned last (true) or the one idle longest (false). */
  pool_use_lifo: flag().default(true),
  /** What is done with a returned client: ROLLBACK if in a transaction, clear all session state, or nothing. */
  pool_reset_on_return: z
    .union([z.enum(['rollback', 'discard']), z.null()])
    .describe('"rollback", "discard" or null')
    .default('rollback'),
  /** How long an overflow client lingers when idle. 0 = closed at once. */
  pool_idle_timeout: seconds().default(10),
  /** More checkouts than this do not wait, they are refused. */
  pool_max_waiting: count(0).default(1000),
  /** `NullPool`: a client a checkout, none kept. For use behind an external pooler. */
  poolclass: oneOf('QueuePool', 'NullPool').default('QueuePool'),
  /** One connect attempt: DNS, TCP, TLS, login and `connect` listeners. */
  connect_timeout: positiveSeconds().default(5),
  /** How long a checkout may be parked while the server is known to be away. 0 = it fails at once. */
  recovery_timeout: seconds().default(5),
  /** Automatic prepared statements a client keeps. 0 = off. */
  statement_cache_size: count(0).default(256),
  /** Isolation level of transactions that name none; the server's own if not set. */
  isolation_level: oneOf(
    'READ UNCOMMITTED',
    'READ COMMITTED',
    'REPEATABLE READ',
    'SERIALIZABLE'
  ).optional(),
  /** Log statements through `app.log`. */
  echo: z
    .union([z.boolean(), z.literal('debug')])
    .describe('true, false or "debug"')
    .default(false),
  /** Log pool events through `app.log`. */
  echo_pool: z
    .union([z.boolean(), z.literal('debug')])
    .describe('true, false or "debug"')
    .default(false),
  /** Record statements for `req.db.recordedQueries`. Flask-SQLAlchemy's `SQLALCHEMY_RECORD_QUERIES`. */
  record_queries: flag().default(false),
  /** Keep bound values out of logs and errors. */
  hide_parameters: flag().default(true),
  /** Passed to `pg.Client` untouched; what the URL says wins over it, as `pg` has it (SQLAlchemy has it the other way). */
  connect_args: z.record(z.string(), z.unknown()).describe('an object').default({}),
  /** Silence after which the server of a running statement is looked after, to tell a slow one from a gone one. 0 = never. */
  half_open_timeout: z
    .union([z.literal(0), z.number().min(1).max(MAX_SECONDS)])
    .describe(`a number of seconds from 1 to ${MAX_SECONDS}, or 0`)
    .default(3),
  /** A checkout held longer is reported with the borrower's stack. 0 = never. */
  leak_timeout: seconds().default(0),
  /** How long `app.close()` waits for clients in use. */
  close_timeout: seconds().default(10),
  /** Find out whether a COMMIT whose answer was lost took effect. */
  resolve_doubt: flag().default(true)
})

/** `ENGINE_OPTIONS` with every default filled in. */
export type EngineOptions = z.output<typeof engineOptionsSchema>
/** `ENGINE_OPTIONS` as a user writes them. */
export type EngineOptionsInput = z.input<typeof engineOptionsSchema>
export type EngineOptionName = keyof EngineOptions
/** Those that may be shown: `connect_args` may hold a password or a key. */
export type ShownOptions = Readonly<Omit<EngineOptions, 'connect_args'>>

export const ENGINE_OPTION_NAMES = Object.keys(engineOptionsSchema.shape) as EngineOptionName[]

/** Options that size or order a pool, which `NullPool` is not. SQLAlchemy refuses them too. */
export const QUEUE_POOL_ONLY: ReadonlySet<string> = new Set<EngineOptionName>([
  'pool_size',
  'max_overflow',
  'pool_use_lifo',
  'pool_idle_timeout'
])
