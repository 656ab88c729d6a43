import type { Client as PgClient, PoolClient } from 'pg'

/** A connection of the engine, seen from here. */
export interface LentConnection {
  /** The client behind it now; none between two of them. */
  readonly held: PgClient | undefined
  /** As `pg` has it, without callbacks. */
  query(query: unknown, values: unknown): unknown
  /** Has the client replaced. */
  invalidate(error?: unknown): void
  /** Gives the client back as soon as nothing runs on it; a later query takes another. */
  release(): void
  /** Gives the client back as soon as nothing runs on it, and refuses later queries. */
  end(): void
}

export type Callback = (error: Error | undefined, result: unknown) => void

/**
 * A `pg.PoolClient` whose queries are the connection's: what is lost is told as the engine tells it, and once it is
 * released nobody gets at the next borrower's session with `query`. Everything else is the `pg.Client`'s own.
 */
export function lentClient(
  connection: LentConnection,
  first: PgClient,
  onReleased: (error: unknown, client: PoolClient) => void
): PoolClient {
  let held = first
  let isReleased = false
  const release = (error?: Error | boolean) => {
    if (isReleased)
      throw new Error('Release called on client which has already been released to the pool.')
    isReleased = true
    if (error) connection.invalidate(error)
    connection.end()
    onReleased(error, client)
  }
  const end = (callback?: () => void) => {
    if (!isReleased) connection.invalidate()
    return answer(Promise.resolve(), callback)
  }
  const own = new Map<PropertyKey, unknown>([
    ['query', (...given: unknown[]) => queryOn(connection, given)],
    ['release', release],
    ['end', end]
  ])
  const client: PoolClient = new Proxy(first as PoolClient, {
    get(_target, key) {
      if (own.has(key)) return own.get(key)
      held = connection.held ?? held
      const value: unknown = Reflect.get(held, key, held)
      // On the client, not on the stand-in: an emitter must find its own listeners.
      return typeof value === 'function' ? value.bind(held) : value
    },
    has: (target, key) => own.has(key) || Reflect.has(target, key)
  })
  return client
}

/** `query` in every form that `pg` knows: text or config, values, callback; or a query of a library's own. */
export function queryOn(connection: Pick<LentConnection, 'query'>, given: unknown[]): unknown {
  const [query, values] = given
  const callback = callbackOf(given)
  if (isSubmittable(query)) {
    if (callback !== undefined) query.callback ??= callback
    return connection.query(query, undefined)
  }
  const bound = typeof values === 'function' ? undefined : values
  const running = async () => connection.query(query, bound)
  return answer(running(), callback)
}

export interface SubmittableQuery {
  submit: unknown
  callback?: unknown
}

export function isSubmittable(query: unknown): query is SubmittableQuery {
  return typeof query === 'object' && query !== null && 'submit' in query
}

function callbackOf([query, values, callback]: unknown[]): Callback | undefined {
  const inConfig: unknown =
    typeof query === 'object' && query !== null ? Reflect.get(query, 'callback') : undefined
  const candidates = isSubmittable(query) ? [callback, values] : [callback, values, inConfig]
  return candidates.find(candidate => typeof candidate === 'function') as Callback | undefined
}

/**
 * A promise, or `undefined` and a callback, as `pg` does it: what a callback throws is nobody's rejection.
 */
export function answer(
  promise: Promise<unknown>,
  callback: ((error: Error | undefined, ...results: never[]) => void) | undefined
): Promise<unknown> | undefined {
  if (callback === undefined) return promise
  const tell = callback as (error: Error | undefined, result?: unknown) => void
  promise.then(
    result => process.nextTick(tell, undefined, result),
    error => process.nextTick(tell, error)
  )
  return undefined
}
