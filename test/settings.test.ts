import t from 'tap'
import { InvalidOptionsError } from '../src/errors.js'
import { ENGINE_OPTION_NAMES, QUEUE_POOL_ONLY } from '../src/options.js'
import { invalidOptions, readSettings, type SettingsSource } from '../src/settings.js'
import type { UrlJudge } from '../src/url.js'

const URL = 'postgres://notes_user:hunter2@db.internal:5432/notes'
const env = { DATABASE_URL: URL }
/** As somebody without a compiler writes it. */
type LooseSource = Omit<SettingsSource, 'engineOptions' | 'url'> & {
  url?: unknown
  engineOptions?: unknown
}

function refusalOf(source: LooseSource): InvalidOptionsError | undefined {
  try {
    readSettings({ env, ...(source as SettingsSource) })
    return undefined
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error
    throw error
  }
}

/** The faults that the error lists, one a line. */
function faultsOf(source: LooseSource): string[] {
  return refusalOf(source)?.message.split('\n- ').slice(1) ?? []
}

t.test('an URL is enough, and every option has its default', async t => {
  const { url, engineOptions } = readSettings({ url: URL, env: {} })
  t.equal(url, URL)
  t.match(engineOptions, { pool_size: 5, pool_recycle: 300, pool_pre_ping: true })
  for (const url of ['postgresql://db/notes', 'POSTGRES://db/notes', 'postgres:///notes']) {
    t.equal(readSettings({ url, env: {} }).url, url)
  }
})

t.test('without an environment of its own it reads that of the process', async t => {
  const before = process.env.SETTINGS_TEST_DATABASE_URL
  t.equal(before, undefined)
  process.env.SETTINGS_TEST_DATABASE_URL = URL
  t.teardown(() => delete process.env.SETTINGS_TEST_DATABASE_URL)
  t.equal(readSettings({ name: 'settings-test' }).url, URL)
})

t.test('F04: explicit options win over single keys, and these over the object', async t => {
  const { url, engineOptions } = readSettings({
    url: 'postgres://explicit/notes',
    engineOptions: { pool_size: 3, max_overflow: undefined },
    env: {
      DATABASE_URL: URL,
      ENGINE_OPTIONS: '{"pool_size": 1, "max_overflow": 1, "pool_timeout": 1}',
      ENGINE_OPTIONS__POOL_SIZE: '2',
      ENGINE_OPTIONS__MAX_OVERFLOW: '2'
    }
  })
  t.equal(url, 'postgres://explicit/notes')
  t.match(engineOptions, { pool_size: 3, max_overflow: 2, pool_timeout: 1 })
})

t.test('a value that is overruled does no harm', async t => {
  const { engineOptions } = readSettings({
    engineOptions: { pool_size: 3 },
    env: { ...env, ENGINE_OPTIONS__POOL_SIZE: 'many' }
  })
  t.equal(engineOptions.pool_size, 3)
})

t.test('F02 F04: a named database has variables of its own, and only these', async t => {
  const both = {
    DATABASE_URL: URL,
    ENGINE_OPTIONS: '{"pool_size": 1}',
    ENGINE_OPTIONS__MAX_OVERFLOW: '1',
    BILLING_EU_DATABASE_URL: 'postgres://billing/eu',
    BILLING_EU_ENGINE_OPTIONS: '{"pool_size": 2}',
    BILLING_EU_ENGINE_OPTIONS__POOL_TIMEOUT: '2'
  }
  const named = readSettings({ name: 'billing-eu', env: both })
  t.equal(named.url, 'postgres://billing/eu')
  t.match(named.engineOptions, { pool_size: 2, max_overflow: 10, pool_timeout: 2 })
  const unnamed = readSettings({ env: both })
  t.match(unnamed.engineOptions, { pool_size: 1, max_overflow: 1, pool_timeout: 30 })
  t.match(faultsOf({ name: 'reports', env: both }), [
    /got nothing; set REPORTS_DATABASE_URL or pass options\.url/
  ])
})

t.test(
  'F06: what the driver cannot use of the URL is a fault that says where it came from',
  async t => {
    const refusalBy = (source: SettingsSource, judge: UrlJudge) => {
      try {
        return void readSettings({ env, ...source }, ['name: expected another'], judge)
      } catch (error) {
        return error
      }
    }
    const asked: unknown[] = []
    const judge: UrlJudge = (url, connectArgs) => {
      asked.push([url, connectArgs])
      return 'several hosts'
    }
    const fault =
      /^Invalid options for the database:\n- name: expected another\n- url: expected a URL .*, got several hosts/
    t.match(refusalBy({}, judge), {
      message: new RegExp(`${fault.source} \\(from DATABASE_URL\\)$`)
    })
    const source = { url: URL, engineOptions: { connect_args: { port: 1 } } }
    t.match(refusalBy(source, judge), {
      message: new RegExp(`${fault.source} \\(from options\\.url\\)$`)
    })
    t.strictSame(asked, [
      [URL, {}],
      [URL, { port: 1 }]
    ])
  }
)

t.test('an option with an underscore too few is a fault that spells it', async t => {
  const of = (key: string, name?: string) =>
    faultsOf({ name, env: { ...env, REPORTS_DATABASE_URL: URL, [key]: '3' } })
  t.strictSame(of('ENGINE_OPTIONS_POOL_SIZE'), [
    'pool_size: expected in ENGINE_OPTIONS__POOL_SIZE, with two underscores, got it in ENGINE_OPTIONS_POOL_SIZE'
  ])
  t.match(of('ENGINE_OPTIONS_CONNECT_ARGS__ssl'), [/^connect_args: expected in .*__CONNECT_ARGS/])
  t.match(of('REPORTS_ENGINE_OPTIONS_ECHO', 'reports'), [/^echo: .*REPORTS_ENGINE_OPTIONS__ECHO/])
  for (const key of ['ENGINE_OPTIONS_FILE', 'ENGINE_OPTIONS_', 'ENGINE_OPTIONSPOOL_SIZE']) {
    t.strictSame(of(key), [], 'it may be meant for somebody else')
  }
  t.strictSame(of('REPORTS_ENGINE_OPTIONS_ECHO'), [])
  t.strictSame(faultsOf({ env: { ...env, ENGINE_OPTIONS_POOL_SIZE: '' } }), [])
})

t.test('an environment or a name that is none hides no other fault', async t => {
  for (const env of [null, 'x', 5, []]) {
    t.match(faultsOf({ env: env as never, engineOptions: { echo: 1 } }).at(-1), /^echo: /)
  }
  t.match(faultsOf({ name: 5 as never, engineOptions: { echo: 1 } }), [/^echo: /])
  t.match(faultsOf({ env: { ...env, ENGINE_OPTIONS: { echo: true } as never } }), [
    /^ENGINE_OPTIONS: expected the text of a JSON object, got an object$/
  ])
})

t.test('a fault says option, what was expected, what was got and where it came from', async t => {
  t.strictSame(faultsOf({ engineOptions: { pool_size: '5' } }), [
    'pool_size: expected a whole number, 0 or more, got "5" (string) (from options.engineOptions)'
  ])
  t.strictSame(faultsOf({ env: { ...env, ENGINE_OPTIONS__POOL_PRE_PING: '"false"' } }), [
    'pool_pre_ping: expected true or false, got "false" (string) (from ENGINE_OPTIONS__POOL_PRE_PING)'
  ])
  t.strictSame(faultsOf({ env: { ...env, ENGINE_OPTIONS: '{"isolation_level": "AUTOCOMMIT"}' } }), [
    'isolation_level: expected "READ UNCOMMITTED" or "READ COMMITTED" or "REPEATABLE READ" or ' +
      '"SERIALIZABLE", got "AUTOCOMMIT" (string) (from ENGINE_OPTIONS)'
  ])
})

t.test('all faults are in one message, which names the database', async t => {
  const source: LooseSource = {
    name: 'reports',
    engineOptions: { pool_timeout: -1, poolSize: 3 },
    env: {
      REPORTS_ENGINE_OPTIONS__MAX_OVERFLOW: '-5',
      REPORTS_ENGINE_OPTIONS__POOL_USE_LIFO: 'yes',
      REPORTS_ENGINE_OPTIONS: '{'
    }
  }
  t.match(refusalOf(source), {
    code: 'FST_DB_INVALID_OPTIONS',
    message: /^Invalid options for the database 'reports':\n- /
  })
  const faults = faultsOf(source)
  t.strictSame(faults.map(fault => fault.split(':')[0]).toSorted(), [
    'REPORTS_ENGINE_OPTIONS',
    'max_overflow',
    'poolSize',
    'pool_timeout',
    'pool_use_lifo',
    'url'
  ])
})

t.test('C05 X28: an unknown option does not boot, and its name is told with the known', async t => {
  const sources: [LooseSource, RegExp][] = [
    [{ engineOptions: { poolSize: 3 } }, /^poolSize: .*\(from options\.engineOptions\)/],
    [{ env: { ...env, ENGINE_OPTIONS: '{"pool_recyle": 3}' } }, /^pool_recyle: .*\(from ENGINE_OP/],
    [{ env: { ...env, ENGINE_OPTIONS__PASSWORD: 'hunter2' } }, /^password: .*_OPTIONS__PASSWORD\)/],
    [{ env: { ...env, ENGINE_OPTIONS: '{"__proto__": {}}' } }, /^__proto__: unknown option/],
    [{ env: { ...env, ENGINE_OPTIONS: '{"toString": 1}' } }, /^toString: unknown option/]
  ]
  for (const [source, fault] of sources) {
    const faults = faultsOf(source)
    t.match(faults, [fault])
    t.ok(ENGINE_OPTION_NAMES.every(name => faults[0]?.includes(name)))
    t.notMatch(faults[0], /hunter2/)
  }
})

t.test('C06: NullPool takes no option that sizes or orders a pool', async t => {
  for (const key of QUEUE_POOL_ONLY) {
    const value = key === 'pool_use_lifo' ? true : 1
    t.strictSame(faultsOf({ engineOptions: { poolclass: 'NullPool', [key]: value } }), [
      `${key}: not an option of poolclass "NullPool" (from options.engineOptions)`
    ])
    t.strictSame(faultsOf({ engineOptions: { poolclass: 'QueuePool', [key]: value } }), [])
  }
  const { engineOptions } = readSettings({
    engineOptions: { poolclass: 'NullPool', pool_timeout: 1, pool_reset_on_return: null },
    env
  })
  t.match(engineOptions, { poolclass: 'NullPool', pool_timeout: 1 })
})

t.test('C06: the pool class and its options may come from different places', async t => {
  const env = { DATABASE_URL: URL, ENGINE_OPTIONS__POOLCLASS: 'NullPool' }
  t.match(faultsOf({ env, engineOptions: { pool_size: 3 } }), [/^pool_size: not an option of/])
  t.strictSame(faultsOf({ env, engineOptions: { poolclass: 'QueuePool', pool_size: 3 } }), [])
})

t.test('engineOptions that are no object are one fault', async t => {
  for (const engineOptions of [null, [], 'pool_size=5', 5, true, () => URL]) {
    const faults = faultsOf({ engineOptions })
    t.match(faults, [/^engineOptions: expected an object, got/])
    t.notMatch(faults[0], /hunter2|URL/)
  }
})

t.test('C07: values of connect_args are never told, not even harmless ones', async t => {
  for (const connect_args of ['hunter2', 'password=hunter2', ['hunter2'], () => 'hunter2']) {
    const faults = faultsOf({ engineOptions: { connect_args } })
    t.match(faults, [/^connect_args: expected an object, got/])
    t.notMatch(faults[0], /hunter2/)
  }
  const withFault = { connect_args: { password: 'hunter2' }, pool_size: -1 }
  t.notMatch(faultsOf({ engineOptions: withFault }).join(), /hunter2/)
})

t.test('connect_args that are null or an array are not said to be the object expected', async t => {
  for (const connect_args of [null, []]) {
    t.notMatch(faultsOf({ engineOptions: { connect_args } })[0], /got an? object|got object/)
  }
})

t.test('the error carries no cause in which the values would be found after all', async t => {
  t.equal(refusalOf({ engineOptions: { pool_size: URL } })?.cause, undefined)
  t.equal(refusalOf({ url: URL.slice(1) })?.cause, undefined)
  const error = invalidOptions('the database', ['a', 'b'])
  t.equal(error.message, 'Invalid options for the database:\n- a\n- b')
})

t.test('a value in the place of a name is not shown', t => {
  const key = 'postgres://u:hunter2@db/notes'
  const named = { ...env, [`ENGINE_OPTIONS__${key}`]: '1' }
  for (const source of [{ engineOptions: { [key]: 1 } }, { env: named }]) {
    const [fault = ''] = faultsOf(source)
    t.match(fault, /^a key of 29 characters: unknown option \(from (options|ENGINE_OPTIONS__…)/)
  }
  t.end()
})
