import { Connection } from './connection.js'
import { describeValue } from './describe-value.js'
import { Engine } from './engine.js'
import { environmentPrefix } from './env.js'
import { InvalidOptionsError } from './errors.js'
import type { RequestScope } from './request-scope.js'

/** A name becomes a member and the prefix of environment variables. */
const NAME = /^[A-Za-z][A-Za-z0-9_-]*$/
const NO_NAMES: readonly string[] = []

/**
 * The databases that one encapsulation context knows: its own, and those of the contexts around it. `app.db` is the
 * one without a name; the others are its members, here and on `req.db`.
 */
export class Registry {
  readonly #outer: Registry | undefined
  readonly #named = new Map<string, Engine>()
  #unnamed: Engine | undefined
  #root: { unnamed: Engine | undefined; names: readonly string[]; value: object } | undefined

  constructor(outer: Registry | undefined) {
    this.#outer = outer
  }

  /** What is wrong with a name: it is taken, shadows a member, shares another's environment variables, or is none. */
  nameFaults(name: string | undefined): string[] {
    if (name === undefined) {
      if (this.unnamed === undefined) return []
      return ['name: expected one, for the default database is registered already; got nothing']
    }
    if (typeof name !== 'string' || !NAME.test(name)) {
      return [
        `name: expected a letter, then letters, digits, '_' or '-', got ${describeValue(name)}`
      ]
    }
    if (isMember(name)) return [`name: '${name}' would hide a member of app.db or req.db`]
    if (this.find(name) !== undefined) {
      return [`name: a database named '${name}' is registered already`]
    }
    const prefix = environmentPrefix(name)
    const twin = this.names().find(other => environmentPrefix(other) === prefix)
    if (twin === undefined) return []
    return [
      `name: '${name}' would share ${prefix}DATABASE_URL and ${prefix}ENGINE_OPTIONS with '${twin}'`
    ]
  }

  add(name: string | undefined, engine: Engine): void {
    if (name === undefined) this.#unnamed = engine
    else this.#named.set(name, engine)
  }

  /** What `app.db` is. */
  get root(): object {
    const { unnamed } = this
    const names = this.names()
    // A context around this one may have added a database since.
    if (this.#root?.unnamed !== unnamed || this.#root?.names.length !== names.length) {
      this.#root = { unnamed, names, value: withMembers(unnamed, names, name => this.find(name)) }
    }
    return this.#root.value
  }

  /** What `req.db` is: the same object throughout a request. */
  requestRoot(scope: RequestScope): object {
    const engine = this.unnamed
    scope.root ??= withMembers(engine && scope.connection(engine), this.names(), name => {
      const named = this.find(name)
      return named && scope.connection(named)
    })
    return scope.root
  }

  /** The database without a name. */
  get unnamed(): Engine | undefined {
    return this.#unnamed ?? this.#outer?.unnamed
  }

  find(name: string): Engine | undefined {
    return this.#named.get(name) ?? this.#outer?.find(name)
  }

  names(): readonly string[] {
    const outer = this.#outer?.names() ?? NO_NAMES
    return this.#named.size === 0 ? outer : [...outer, ...this.#named.keys()]
  }
}

function isMember(name: string): boolean {
  return name in Engine.prototype || name in Connection.prototype || OWN_MEMBERS.has(name)
}

/** Members that are no part of a prototype, and the one that would make `await app.db` a trap. */
const OWN_MEMBERS = new Set(['query', 'pool', 'then'])

/**
 * The default database with the named ones as members. A stand-in, so that what a context adds is not seen outside
 * of it; without a default it has only names, and says so when it is used as if there were one.
 */
function withMembers(
  unnamed: object | undefined,
  names: readonly string[],
  find: (name: string) => object | undefined
): object {
  if (unnamed !== undefined && names.length === 0) return unnamed
  const members = new Set(names)
  return new Proxy(unnamed ?? {}, {
    get(target, key) {
      if (typeof key === 'string' && members.has(key)) return find(key)
      if (unnamed === undefined && typeof key === 'string' && isMember(key) && key !== 'then') {
        throw new InvalidOptionsError(
          `No default database is registered; the databases are ${names.join(', ')}`
        )
      }
      // On the target, not on the stand-in: private members belong to the object that declared them.
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    has: (target, key) => members.has(String(key)) || Reflect.has(target, key)
  })
}
