import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { Connection } from '../src/connection.js'
import { Engine } from '../src/engine.js'
import { Registry } from '../src/registry.js'
import { RequestScope } from '../src/request-scope.js'
import { openEngine } from './fixtures/open-engine.js'

const URL = 'postgres://notes_user:hunter2@db.internal:5432/notes'

/** An engine that was never used, and so has opened nothing. */
const unused = (t: Pick<Test, 'teardown'>) => openEngine(t, URL).engine

function registryOf(engines: Record<string, Engine>, outer?: Registry): Registry {
  const registry = new Registry(outer)
  for (const [name, engine] of Object.entries(engines)) {
    registry.add(name === 'default' ? undefined : name, engine)
  }
  return registry
}

t.test('F01: with nothing but a default database, app.db and req.db are it', async t => {
  const engine = unused(t)
  const registry = registryOf({ default: engine })
  const scope = new RequestScope()
  t.equal(registry.root, engine)
  t.equal(registry.requestRoot(scope), scope.connection(engine))
})

t.test('F02 F14: further databases are members of the default one', async t => {
  const [engine, reports] = [unused(t), unused(t)]
  const registry = registryOf({ default: engine, reports })
  const scope = new RequestScope()
  const [app, request] = [registry.root, registry.requestRoot(scope)]
  t.equal(Reflect.get(app, 'reports'), reports)
  t.equal(Reflect.get(request, 'reports'), scope.connection(reports))
  t.ok('reports' in app && 'reports' in request)
  t.notOk('billing' in app || 'billing' in request)
  t.equal(Reflect.get(app, 'billing'), undefined)
  t.strictSame(registry.names(), ['reports'])
})

t.test('with further ones the default database still does what it did', async t => {
  const engine = unused(t)
  const registry = registryOf({ default: engine, reports: unused(t) })
  const app = registry.root as Engine
  const request = registry.requestRoot(new RequestScope()) as Connection
  t.ok(app instanceof Engine && request instanceof Connection)
  const { status } = app
  t.strictSame(status(), engine.status(), 'also when a method is taken from it')
  t.equal(request.inTransaction, false)
  t.equal(request.invalidated, false)
  t.ok('query' in app && 'query' in request)
  engine.invalidate()
  t.equal(app.status().generation, engine.status().generation)
})

t.test('F11: req.db is one object throughout a request, and another in the next', async t => {
  const registry = registryOf({ default: unused(t), reports: unused(t) })
  const [one, other] = [new RequestScope(), new RequestScope()]
  t.equal(registry.requestRoot(one), registry.requestRoot(one))
  t.not(registry.requestRoot(one), registry.requestRoot(other))
  t.not(
    Reflect.get(registry.requestRoot(one), 'reports'),
    Reflect.get(registry.requestRoot(other), 'reports')
  )
})

t.test('X47: to be asked for takes no client of any database', async t => {
  const [engine, reports] = [unused(t), unused(t)]
  Reflect.get(registryOf({ default: engine, reports }).requestRoot(new RequestScope()), 'reports')
  for (const asked of [engine, reports]) {
    t.match(asked.status(), { size: 0, connecting: 0, counters: { checkouts: 0 } })
  }
})

t.test('F08: without a default database the named ones work, and the others are told', async t => {
  const reports = unused(t)
  const registry = registryOf({ reports })
  const scope = new RequestScope()
  for (const root of [registry.root, registry.requestRoot(scope)]) {
    t.ok(Reflect.get(root, 'reports'))
    for (const member of ['query', 'transaction', 'release', 'status', 'invalidate']) {
      t.throws(() => Reflect.get(root, member), {
        code: 'FST_DB_INVALID_OPTIONS',
        message: /No default database is registered; the databases are reports/
      })
    }
  }
  t.equal(registry.unnamed, undefined)
})

t.test('to await app.db or req.db is no trap', async t => {
  for (const engines of [{ reports: unused(t) }, { default: unused(t), reports: unused(t) }]) {
    const registry = registryOf(engines)
    const scope = new RequestScope()
    t.equal(await registry.root, registry.root)
    t.equal(await registry.requestRoot(scope), registry.requestRoot(scope))
  }
})

t.test('an inner context knows the databases of the outer, and keeps its own', async t => {
  const [engine, reports, billing] = [unused(t), unused(t), unused(t)]
  const outer = registryOf({ default: engine, reports })
  const inner = registryOf({ billing }, outer)
  t.equal(inner.unnamed, engine)
  t.equal(Reflect.get(inner.root, 'reports'), reports)
  t.equal(Reflect.get(inner.root, 'billing'), billing)
  t.equal(Reflect.get(outer.root, 'billing'), undefined)
  t.equal(Reflect.get(outer.requestRoot(new RequestScope()), 'billing'), undefined)
  t.strictSame([outer.names(), inner.names()], [['reports'], ['reports', 'billing']])
})

t.test('a database that is added after app.db was read is there too', async t => {
  const [engine, reports] = [unused(t), unused(t)]
  const registry = registryOf({ default: engine })
  t.equal(registry.root, engine)
  registry.add('reports', reports)
  t.equal(Reflect.get(registry.root, 'reports'), reports)
})

t.test('a database that an outer context adds later is seen by the inner ones', async t => {
  const [engine, reports, billing] = [unused(t), unused(t), unused(t)]
  const outer = registryOf({ default: engine })
  const inner = registryOf({ billing }, outer)
  t.equal(Reflect.get(inner.root, 'billing'), billing)
  outer.add('reports', reports)
  t.equal(Reflect.get(inner.requestRoot(new RequestScope()), 'reports') !== undefined, true)
  t.equal(Reflect.get(inner.root, 'reports'), reports)
})

t.test('F26: a name is free once, and not in an inner context either', async t => {
  const registry = registryOf({ default: unused(t), reports: unused(t) })
  for (const context of [registry, new Registry(registry)]) {
    for (const name of [undefined, 'reports']) {
      t.match(context.nameFaults(name), [/is registered already/])
    }
    t.strictSame(context.nameFaults('billing'), [])
  }
  t.strictSame(new Registry(undefined).nameFaults(undefined), [])
})

t.test('F26: what an inner context has is free outside of it and beside it', async t => {
  const outer = new Registry(undefined)
  registryOf({ default: unused(t), reports: unused(t) }, outer)
  for (const context of [outer, new Registry(outer)]) {
    for (const name of [undefined, 'reports']) t.strictSame(context.nameFaults(name), [])
  }
})

t.test('a name that would hide a member is refused', async t => {
  const members = [Engine, Connection].flatMap(({ prototype }) =>
    Object.getOwnPropertyNames(prototype)
  )
  t.ok(members.includes('transaction') && members.includes('release'))
  for (const name of [...members, 'query', 'then', 'toString', 'hasOwnProperty', 'valueOf']) {
    t.match(new Registry(undefined).nameFaults(name), [/would hide a member/])
  }
})

t.test('a name that is no name is refused', async t => {
  const odd = [null, 5, {}, [], true] as unknown as string[]
  for (const name of ['', ' ', '1st', '-a', '_a', '__proto__', 'a b', 'a.b', 'é', 'a\n', ...odd]) {
    t.match(new Registry(undefined).nameFaults(name), [/^name: expected a letter/])
  }
  for (const name of ['reports', 'billing-eu', 'A1_', 'x']) {
    t.strictSame(new Registry(undefined).nameFaults(name), [])
  }
})

t.test('a name that would share the environment variables of another is refused', async t => {
  const registry = registryOf({ 'a-b': unused(t) })
  for (const context of [registry, new Registry(registry)]) {
    for (const name of ['a_b', 'A-b', 'a--b']) {
      t.strictSame(context.nameFaults(name), [
        `name: '${name}' would share A_B_DATABASE_URL and A_B_ENGINE_OPTIONS with 'a-b'`
      ])
    }
    for (const name of ['ab', 'a_b_c', 'b']) t.strictSame(context.nameFaults(name), [])
  }
})

t.test('C07 F20: neither app.db nor req.db shows the URL to who looks into it', async t => {
  for (const engines of [{ default: unused(t) }, { default: unused(t), reports: unused(t) }]) {
    const registry = registryOf(engines)
    for (const root of [registry.root, registry.requestRoot(new RequestScope())]) {
      const shown = `${inspect(root, { depth: 20, showHidden: true })} ${JSON.stringify(root)}`
      t.notMatch(shown, /hunter2|notes_user|db\.internal/)
    }
    t.notMatch(inspect(registry, { depth: 20 }), /hunter2/)
  }
})
