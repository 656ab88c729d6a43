import t from 'tap'
import {
  type RouteDatabaseConfig,
  requestLimit,
  routeConfigFaults,
  routeTransaction
} from '../src/route-config.js'

t.test('what a route may say of its database is no fault', async t => {
  const configs: (RouteDatabaseConfig | undefined)[] = [
    undefined,
    {},
    { idempotent: true },
    { idempotent: false, readOnly: true, transaction: false },
    { transaction: true },
    { transaction: undefined, readOnly: undefined, timeout: undefined, idempotent: undefined },
    { transaction: {} },
    { transaction: { isolationLevel: 'SERIALIZABLE', readOnly: true, deferrable: true } }
  ]
  for (const config of configs) t.strictSame(routeConfigFaults(config), [])
})

t.test('the config.db of a route is an object', async t => {
  for (const [config, got] of [
    [null, 'null'],
    [true, 'true (boolean)'],
    [[], 'an array']
  ]) {
    t.strictSame(routeConfigFaults(config), [`config.db: expected an object, got ${got}`])
  }
})

t.test('X28: whatever a route says wrong is a fault, each for itself', async t => {
  for (const key of ['idempotent', 'readOnly']) {
    for (const [value, got] of [
      ['true', '"true" (string)'],
      [1, '1 (number)'],
      [null, 'null'],
      [{}, 'an object']
    ]) {
      const fault = `config.db.${key}: expected true or false, got ${got}`
      t.strictSame(routeConfigFaults({ [key]: value }), [fault])
    }
  }
  const faults = routeConfigFaults({ idempotent: 'no', idempotant: true, toString: 1 })
  t.match(faults, [
    /^config\.db\.idempotent: expected/,
    /^config\.db\.idempotant: unknown option; known are idempotent, readOnly, transaction, timeout$/,
    /^config\.db\.toString: unknown/
  ])
})

t.test('X28: a time limit is a number of seconds', async t => {
  for (const timeout of [0.5, 5, 2_147_483]) t.strictSame(routeConfigFaults({ timeout }), [])
  for (const timeout of [0, -1, '5', null, Number.NaN, Number.POSITIVE_INFINITY]) {
    t.match(routeConfigFaults({ timeout }), [
      /^config\.db\.timeout: expected a number of seconds above 0/
    ])
  }
})

t.test("the sooner of the route's limit and Fastify's counts", async t => {
  t.equal(requestLimit(undefined, 0), undefined)
  t.equal(requestLimit({}, 200), 200)
  t.equal(requestLimit({ timeout: 5 }, 0), 4900, 'so that the answer is there in time')
  t.equal(requestLimit({ timeout: 0.5 }, 0), 450)
  t.equal(requestLimit({ timeout: 0.5 }, 200), 200)
  t.equal(requestLimit({ timeout: 0.1 }, 200), 90)
})

t.test('a signal of a route would be shared by all of its requests', async t => {
  const transaction = { signal: AbortSignal.abort() }
  t.match(routeConfigFaults({ transaction }), [/^config\.db\.transaction\.signal: /])
})

t.test('a transaction is asked for by true or by its options', async t => {
  for (const transaction of ['true', 1, null]) {
    t.match(routeConfigFaults({ transaction }), [/^config\.db\.transaction: expected true, false/])
  }
})

t.test('the options of a transaction that could not begin are a fault at boot', async t => {
  const wrong = [
    { isolationLevel: 'CHAOS' },
    { isolationLevel: 'read committed' },
    { readonly: true }
  ]
  for (const transaction of wrong) {
    t.match(routeConfigFaults({ transaction }), [/^config\.db\.transaction: Expected/])
  }
  t.match(routeConfigFaults({ transaction: { isolationLevel: 'x; drop table notes' } }), [
    /isolation/
  ])
})

t.test('a handler is never run again, so that a route has no retries', async t => {
  for (const retries of [1, 0, undefined]) {
    t.match(routeConfigFaults({ transaction: { retries } }), [
      /^config\.db\.transaction\.retries: /
    ])
  }
})

t.test('a route has a transaction only if it asks for one', async t => {
  for (const config of [undefined, {}, { transaction: false }, { readOnly: true }]) {
    t.equal(routeTransaction(config), undefined)
  }
  t.strictSame(routeTransaction({ transaction: true }), {})
  const options = { isolationLevel: 'SERIALIZABLE' } as const
  t.strictSame(routeTransaction({ transaction: options, idempotent: true }), options)
})

t.test('a read-only route has a read-only transaction, whatever that says of itself', async t => {
  const readOnly = { readOnly: true }
  t.strictSame(routeTransaction({ transaction: true, ...readOnly }), readOnly)
  t.strictSame(routeTransaction({ transaction: {}, readOnly: false }), {})
  const writing = { transaction: { readOnly: false, deferrable: true }, ...readOnly }
  t.strictSame(routeTransaction(writing), { readOnly: true, deferrable: true })
  t.strictSame(writing.transaction, { readOnly: false, deferrable: true }, 'untouched')
})
