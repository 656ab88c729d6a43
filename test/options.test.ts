import t from 'tap'
import {
  ENGINE_OPTION_NAMES,
  type EngineOptionName,
  engineOptionsSchema,
  QUEUE_POOL_ONLY
} from '../src/options.js'

/** Node.js would fire a longer timer at once. */
const LONGEST = 2_147_483

const NOT_A_NUMBER = ['5', '', true, null, [5], {}, Number.NaN, Number.POSITIVE_INFINITY]
const NOT_A_FLAG = ['true', 'false', '', 1, 0, null, {}]
const NOT_SECONDS = [...NOT_A_NUMBER, -1, -0.001, LONGEST + 1, 1e300]
const NOT_POSITIVE = [...NOT_SECONDS, 0]
const NOT_A_COUNT = [...NOT_A_NUMBER, -1, 0.5, 2 ** 53, 1e300]

interface Rules {
  default: unknown
  takes: unknown[]
  refuses: unknown[]
  expected: RegExp
}

const flag = (byDefault: boolean): Rules => ({
  default: byDefault,
  takes: [true, false],
  refuses: NOT_A_FLAG,
  expected: /true or false/
})
const seconds = (byDefault: number): Rules => ({
  default: byDefault,
  takes: [0, 0.001, 0.5, 30, LONGEST],
  refuses: NOT_SECONDS,
  expected: /seconds from 0 to 2147483/
})
const positiveSeconds = (byDefault: number): Rules => ({
  default: byDefault,
  takes: [0.001, 0.5, LONGEST],
  refuses: NOT_POSITIVE,
  expected: /seconds above 0, at most 2147483/
})
const count = (byDefault: number): Rules => ({
  default: byDefault,
  takes: [0, 1, 5.0, 1_000_000],
  refuses: NOT_A_COUNT,
  expected: /a whole number, 0 or more/
})
const echo: Rules = {
  default: false,
  takes: [true, false, 'debug'],
  refuses: ['true', 'DEBUG', 'info', 1, null],
  expected: /true, false or "debug"/
}

/** The option table of design.md and `record_queries`: name, default, values. */
const TABLE: Record<EngineOptionName, Rules> = {
  pool_size: count(5),
  max_overflow: {
    default: 10,
    takes: [-1, 0, 10],
    refuses: [...NOT_A_NUMBER, -2, -5, 0.5],
    expected: /a whole number, -1 or more/
  },
  pool_timeout: seconds(30),
  pool_recycle: {
    default: 300,
    takes: [-1, 0.5, 1, LONGEST],
    refuses: [...NOT_A_NUMBER, 0, -0.5, -2, LONGEST + 1, '-1'],
    expected: /seconds above 0, at most 2147483, or -1/
  },
  pool_recycle_jitter: {
    default: 0.2,
    takes: [0, 0.5, 1],
    refuses: [...NOT_A_NUMBER, -0.1, 1.1, 20],
    expected: /a number from 0 to 1/
  },
  pool_pre_ping: flag(true),
  pool_pre_ping_window: seconds(0.5),
  pool_pre_ping_timeout: positiveSeconds(1),
  pool_use_lifo: flag(true),
  pool_reset_on_return: {
    default: 'rollback',
    takes: ['rollback', 'discard', null],
    refuses: ['hi', 'commit', 'ROLLBACK', 'none', 'null', true, false, 0, ''],
    expected: /"rollback", "discard" or null/
  },
  pool_idle_timeout: seconds(10),
  pool_max_waiting: count(1000),
  poolclass: {
    default: 'QueuePool',
    takes: ['QueuePool', 'NullPool'],
    refuses: ['queuepool', 'StaticPool', 'AsyncAdaptedQueuePool', null, true, {}],
    expected: /"QueuePool" or "NullPool"/
  },
  connect_timeout: positiveSeconds(5),
  recovery_timeout: seconds(5),
  statement_cache_size: count(256),
  isolation_level: {
    default: undefined,
    takes: ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'],
    refuses: ['AUTOCOMMIT', 'serializable', 'SERIALIZABLE; drop table notes', null, '', 1],
    expected: /"READ UNCOMMITTED" or .* or "SERIALIZABLE"/
  },
  echo,
  echo_pool: echo,
  record_queries: flag(false),
  hide_parameters: flag(true),
  connect_args: {
    default: {},
    takes: [{}, { ssl: { rejectUnauthorized: false }, password: () => 'token' }],
    refuses: ['ssl=true', null, [], true, 5, new Map()],
    expected: /an object/
  },
  half_open_timeout: {
    default: 3,
    takes: [0, 1, 1.5, 30, LONGEST],
    refuses: [...NOT_SECONDS, 0.001, 0.999],
    expected: /seconds from 1 to 2147483, or 0/
  },
  leak_timeout: seconds(0),
  close_timeout: seconds(10),
  resolve_doubt: flag(true)
}

const rows = Object.entries(TABLE)

t.test('C03 F10: every option of the design is there, with its default', async t => {
  const defaults: Record<string, unknown> = engineOptionsSchema.parse({})
  for (const [name, rules] of rows) {
    t.ok(Object.hasOwn(engineOptionsSchema.shape, name), name)
    t.strictSame(defaults[name], rules.default, name)
  }
  t.strictSame(ENGINE_OPTION_NAMES.toSorted(), Object.keys(TABLE).toSorted(), 'and no other')
})

t.test('C02 C04: every option takes the values that it should', async t => {
  for (const [name, { takes }] of rows) {
    for (const value of takes) {
      const result = engineOptionsSchema.safeParse({ [name]: value })
      t.strictSame(result.data && Reflect.get(result.data, name), value, `${name}: ${value}`)
    }
  }
})

t.test('C04 P83 X23 X25 X26 X27: every option refuses the rest, and corrects nothing', async t => {
  for (const [name, { refuses }] of rows) {
    for (const value of refuses) {
      const { success, error } = engineOptionsSchema.safeParse({ [name]: value })
      t.notOk(success, `${name}: ${typeof value} ${String(value)}`)
      t.ok(
        error?.issues.every(({ path }) => path[0] === name),
        'it says which option it is'
      )
    }
  }
})

t.test('every option can say what was expected', async t => {
  for (const [name, { expected }] of rows) {
    t.match(describedBy(Reflect.get(engineOptionsSchema.shape, name)), expected, name)
  }
  for (const name of ENGINE_OPTION_NAMES) {
    t.ok(describedBy(engineOptionsSchema.shape[name]), name)
  }
})

t.test('connect_args reach pg as they are, objects and functions too', async t => {
  const connect_args = { ssl: { ca: 'pem' }, stream: () => {}, password: async () => 'token' }
  const parsed = engineOptionsSchema.parse({ connect_args })
  t.equal(parsed.connect_args.ssl, connect_args.ssl)
  t.equal(parsed.connect_args.stream, connect_args.stream)
  t.equal(parsed.connect_args.password, connect_args.password)
})

t.test('C05 X28: an unknown option is refused, also one out of Object.prototype', async t => {
  for (const key of ['poolSize', 'pool_recyle', 'POOL_SIZE', 'constructor', '__proto__', '']) {
    const options: unknown = JSON.parse(`{${JSON.stringify(key)}: 1}`)
    t.notOk(engineOptionsSchema.safeParse(options).success, key)
  }
})

t.test('the sets about options name options', async t => {
  for (const name of QUEUE_POOL_ONLY) {
    t.ok(Object.hasOwn(engineOptionsSchema.shape, name), name)
  }
  t.strictSame(ENGINE_OPTION_NAMES, Object.keys(engineOptionsSchema.shape))
})

/** The description, as an error message finds it: beneath a default or an optional. */
function describedBy(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const description: unknown = Reflect.get(schema, 'description')
  if (typeof description === 'string') return description
  const unwrap: unknown = Reflect.get(schema, 'unwrap')
  return typeof unwrap === 'function' ? describedBy(unwrap.call(schema)) : undefined
}
