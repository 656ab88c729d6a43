import t from 'tap'
import { environmentPrefix, readEnvironment } from '../src/env.js'
import { InvalidOptionsError } from '../src/errors.js'
import { ENGINE_OPTION_NAMES, engineOptionsSchema } from '../src/options.js'
import { readSettings } from '../src/settings.js'

const URL = 'postgres://notes_user:hunter2@db.internal:5432/notes'
/** Texts that boot, or may be shown when they do not. */
const HARMLESS =
  ' 0 -1 0.5 -0 1e999 NaN true false null [] {} "true" [[[[ {"a": \0 \ud800 NullPool {"pool_size":1} {"__proto__":{"polluted":true}} {"connect_args":{"__proto__":{"polluted":true}}}'
    .split(' ')
    .concat('9'.repeat(400))
/** Texts that make it worse when a secret stands between them. */
const AROUND = ' " {"a":" "} {"connect_args":" {"pool_size":" [ \n \\ \ud800'.split(' ')

/** What `OPTIONS` and `OPTIONS__…` of an environment give. */
function read(env: Record<string, string | undefined>) {
  const faults: string[] = []
  const sourced = readEnvironment(env, 'OPTIONS', faults)
  const values = Object.fromEntries([...sourced].map(([key, { value }]) => [key, value]))
  const sources = Object.fromEntries([...sourced].map(([key, { source }]) => [key, source]))
  return { values, sources, faults }
}

t.test('a name becomes a prefix that a shell can spell', async t => {
  t.equal(environmentPrefix(undefined), '')
  t.equal(environmentPrefix('reports'), 'REPORTS_')
  t.equal(environmentPrefix('billing-eu'), 'BILLING_EU_')
  t.equal(environmentPrefix('billing_eu2'), 'BILLING_EU2_')
  t.equal(environmentPrefix('a--b'), 'A_B_')
})

t.test('no variable, or an empty one, sets nothing', async t => {
  for (const env of [{}, { OPTIONS: '' }, { OPTIONS: ' \n' }, { OPTIONS: '{}' }]) {
    t.match(read(env), { values: {}, faults: [] })
    t.equal(Object.keys(read(env).values).length, 0)
  }
  t.strictSame(read({ OPTIONS: undefined, OPTIONS__POOL_SIZE: undefined }).values, {})
  t.strictSame(read({ OPTIONS: '{"pool_size": 3}', OPTIONS__POOL_SIZE: '' }).values, {
    pool_size: 3
  })
})

t.test('F03: the object sets options by their own names', async t => {
  const { values, sources, faults } = read({ OPTIONS: '{"pool_size": 3, "isolation_level": null}' })
  t.strictSame(values, { pool_size: 3, isolation_level: null })
  t.strictSame(sources, { pool_size: 'OPTIONS', isolation_level: 'OPTIONS' })
  t.strictSame(faults, [])
})

t.test('F04: a single key wins over the object, and says that it was the one', async t => {
  const { values, sources } = read({
    OPTIONS__POOL_SIZE: '4',
    OPTIONS: '{"pool_size": 3, "max_overflow": 1}'
  })
  t.strictSame(values, { pool_size: 4, max_overflow: 1 })
  t.strictSame(sources, { pool_size: 'OPTIONS__POOL_SIZE', max_overflow: 'OPTIONS' })
})

t.test('C01: a single value is JSON where it is JSON, and text where it is not', async t => {
  const texts: [string, unknown][] = [
    ['50', 50],
    [' 50 ', 50],
    ['0.5', 0.5],
    ['-1', -1],
    ['1e3', 1000],
    ['true', true],
    ['null', null],
    ['"50"', '50'],
    ['{"a": 1}', { a: 1 }],
    ['NullPool', 'NullPool'],
    ['READ COMMITTED', 'READ COMMITTED'],
    ['True', 'True'],
    ['0x10', '0x10'],
    ['1_000', '1_000'],
    ['NaN', 'NaN']
  ]
  for (const [text, value] of texts) t.strictSame(read({ OPTIONS__A: text }).values, { a: value })
})

t.test('variables that only look alike are not read', async t => {
  const env = {
    OPTIONS_POOL_SIZE: '1',
    REPORTS_OPTIONS__POOL_SIZE: '2',
    OPTIONSX: '{"pool_size": 3}',
    options__pool_size: '4'
  }
  t.strictSame(read(env).values, {})
})

t.test('a key inside an option keeps its letters, and joins what the object says', async t => {
  const { values, sources } = read({
    OPTIONS: '{"connect_args": {"keepAlive": false, "ssl": true}}',
    OPTIONS__CONNECT_ARGS__keepAlive: 'true',
    OPTIONS__CONNECT_ARGS__application_name: 'notes'
  })
  t.strictSame(values, {
    connect_args: { keepAlive: true, ssl: true, application_name: 'notes' }
  })
  t.match(sources.connect_args, /^OPTIONS__CONNECT_ARGS__/)
})

t.test('a key inside a key goes as deep as it is spelled', async t => {
  const { values } = read({
    OPTIONS__CONNECT_ARGS__ssl__rejectUnauthorized: 'false',
    OPTIONS__CONNECT_ARGS__ssl__ca: 'pem',
    OPTIONS__CONNECT_ARGS__keepAlive: 'true'
  })
  t.strictSame(values, {
    connect_args: { ssl: { rejectUnauthorized: false, ca: 'pem' }, keepAlive: true }
  })
})

t.test('the order of the variables does not matter', async t => {
  const variables: [string, string][] = [
    ['OPTIONS__CONNECT_ARGS__user', 'notes'],
    ['OPTIONS__CONNECT_ARGS', '{"keepAlive": false, "user": "nobody"}'],
    ['OPTIONS', '{"connect_args": {"port": 1}}']
  ]
  const expected = { connect_args: { keepAlive: false, user: 'notes' } }
  t.strictSame(read(Object.fromEntries(variables)).values, expected)
  t.strictSame(read(Object.fromEntries(variables.toReversed())).values, expected)
})

t.test('text that is no JSON object is one fault, without the text', async t => {
  const faults: [string, RegExp][] = [
    ['{"a":1,}', /^OPTIONS: expected a JSON object, got text that is not JSON \(at position 7\)$/],
    ['{"pool_size": ', /got text that is not JSON \(it ends too early\)$/],
    ['[1, 2]', /^OPTIONS: expected a JSON object, got an array$/],
    ['null', /got null$/],
    ['5', /got 5 \(number\)$/],
    ['"postgres://u:hunter2@db/x"', /got a string of 25 characters$/]
  ]
  for (const [text, fault] of faults) {
    const { values, faults } = read({ OPTIONS: text })
    t.match(faults, [fault])
    t.equal(faults.length, 1)
    t.strictSame(values, {})
  }
})

t.test('text that is no JSON from its first letter is not said to end too early', async t => {
  for (const text of ['pool_size=5', 'undefined', '{"a": postgres://u:hunter2@db.internal/x}']) {
    const { faults } = read({ OPTIONS: text })
    t.match(faults, [/^OPTIONS: expected a JSON object, got text that is not JSON/])
    t.notMatch(faults[0], /too early|pool_size=|hunter2/)
  }
})

t.test('an object that cannot be read does not take the single keys with it', async t => {
  const { values, faults } = read({ OPTIONS: '{', OPTIONS__POOL_SIZE: '4' })
  t.strictSame(values, { pool_size: 4 })
  t.equal(faults.length, 1)
})

t.test('names out of Object.prototype are names like others', async t => {
  const { values } = read({
    OPTIONS: '{"__proto__": {"polluted": true}, "constructor": 1}',
    OPTIONS__CONNECT_ARGS____proto__: '{"polluted": true}',
    OPTIONS__TOSTRING: '2'
  })
  t.strictSame(Object.keys(values).toSorted(), [
    '__proto__',
    'connect_args',
    'constructor',
    'tostring'
  ])
  t.equal(Reflect.get({}, 'polluted'), undefined)
  t.equal(Reflect.get(values.connect_args as object, 'polluted'), undefined)
})

t.test('whatever the environment holds, it boots or is refused, and no secret is told', async t => {
  const random = seeded(20_261_122)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const options = [...ENGINE_OPTION_NAMES, '__PROTO__', 'CONSTRUCTOR', 'PASSWORD', '', '\u0130']
  const variables = [
    'DATABASE_URL',
    'ENGINE_OPTIONS',
    'ENGINE_OPTIONS__CONNECT_ARGS',
    'ENGINE_OPTIONS__CONNECT_ARGS__password',
    ...options.map(name => `ENGINE_OPTIONS__${name.toUpperCase()}`),
    ...options.map(name => `ENGINE_OPTIONS__${name}____proto__`)
  ]
  const value = () => (random() < 0.4 ? pick(HARMLESS) : `${pick(AROUND)}${URL}${pick(AROUND)}`)
  const seen = { boots: 0, refused: 0 }
  const wrong: unknown[] = []
  for (let run = 0; run < 10_000; run += 1) {
    const hostile = Array.from({ length: random() * 4 }, () => [pick(variables), value()] as const)
    const env = { DATABASE_URL: URL, ...Object.fromEntries(hostile) }
    try {
      const { engineOptions } = readSettings({ env })
      seen.boots += 1
      if (!engineOptionsSchema.safeParse(engineOptions).success) wrong.push(env)
    } catch (error) {
      seen.refused += 1
      if (!(error instanceof InvalidOptionsError) || error.cause !== undefined) wrong.push(error)
      else if (error.message.includes('hunter2')) wrong.push(error.message)
    }
  }
  t.strictSame(wrong, [])
  t.ok(seen.boots > 500 && seen.refused > 500, JSON.stringify(seen))
  t.equal(Reflect.get({}, 'polluted'), undefined)
})

/** Mulberry32: the same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
