import t from 'tap'
import { pluginOptionFaults } from '../src/plugin-options.js'

t.test('the plugin takes its own options and those of register()', async t => {
  const own = { url: '', engineOptions: {}, name: 'reports', env: {}, problemJson: true }
  const ofFastify = { prefix: '/v1', logLevel: 'warn', logSerializers: {} }
  t.strictSame(pluginOptionFaults({}), [])
  t.strictSame(pluginOptionFaults({ ...own, isDisconnect: () => true, ...ofFastify }), [])
  t.strictSame(pluginOptionFaults({ name: undefined, isDisconnect: undefined }), [])
})

t.test('C05 X28: an unknown option of the plugin is a fault that names the known', async t => {
  const unknown = {
    connectionString: 'postgres://u:hunter2@db/x',
    pool_size: 5,
    URL: '',
    toString: 1
  }
  const faults = pluginOptionFaults(unknown)
  t.strictSame(
    faults.map(fault => fault.split(':')[0]),
    Object.keys(unknown)
  )
  for (const fault of faults) {
    t.match(fault, /unknown option .*; known are url, engineOptions, name, env, isDisconnect, /)
    t.notMatch(fault, /hunter2/)
  }
})

t.test('a flag that is neither true nor false is a fault', async t => {
  for (const key of ['problemJson', 'requireDatabase']) {
    t.strictSame(pluginOptionFaults({ [key]: false }), [])
    t.match(pluginOptionFaults({ [key]: 'false' }), [`${key}: expected true or false, got "false"`])
  }
})

t.test('a hook that is no function is a fault at boot, not with each error', async t => {
  for (const isDisconnect of [true, null, 'ECONNRESET', {}]) {
    t.match(pluginOptionFaults({ isDisconnect }), [/^isDisconnect: expected a function, got/])
  }
})

t.test('an environment that is none is a fault, without its text', async t => {
  for (const env of ['hunter2', 5, null, [], true]) {
    const [fault = ''] = pluginOptionFaults({ env })
    t.match(fault, /^env: expected an object such as process\.env, got/)
  }
  for (const env of [process.env, undefined]) t.strictSame(pluginOptionFaults({ env }), [])
})

t.test('X27: a flag that is no flag is a fault', async t => {
  for (const problemJson of ['false', 'true', 0, null, {}]) {
    t.match(pluginOptionFaults({ problemJson }), [/^problemJson: expected true or false, got/])
  }
})

t.test('X27: an abort policy that is none is a fault that names them', async t => {
  for (const onAbort of ['cancel-reads', 'cancel', 'finish', undefined]) {
    t.strictSame(pluginOptionFaults({ onAbort }), [])
  }
  for (const onAbort of ['Cancel', 'toString', true, null, {}]) {
    t.match(pluginOptionFaults({ onAbort }), [
      /^onAbort: expected "cancel-reads" or "cancel" or "finish", got/
    ])
  }
})
