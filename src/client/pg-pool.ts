import type { EventEmitter } from 'node:events'
import pg, { type ClientBase, type Client as PgClient, type PoolClient, type PoolConfig } from 'pg'
import { answer, isSubmittable, type LentConnection, lentClient, queryOn } from './lent-client.js'

/** What stands behind the pool: the engine, seen from here. */
export interface ClientSource {
  /** How many clients there may be. */
  readonly limit: number
  status(): { readonly size: number; readonly idle: number; readonly waiting: number }
  /** A connection that takes a client with its first query. */
  connection(): LentConnection
  /** A connection with a client, verified, and that client. */
  connect(): Promise<{ connection: LentConnection; client: PgClient }>
  onConnect(listener: (client: ClientBase) => void): void
  /** `error`: why it was lost, if it was. */
  onClose(listener: (client: ClientBase, error: unknown) => void): void
}

interface PoolInternals extends EventEmitter {
  ending: boolean
  ended: boolean
}

/** `pg.Pool` without what is replaced here, which its type declaration would not let be accessors. */
const PgPool = pg.Pool as unknown as new (config: PoolConfig) => PoolInternals

type Done = (release?: Error | boolean) => void
type ConnectCallback = (error: Error | undefined, client?: PoolClient, done?: Done) => void
type EndCallback = () => void

/**
 * A `pg.Pool`, for libraries that want one, which has no clients of its own: each comes from the engine and goes back
 * to it. `end()` ends this pool only; the engine is the application's.
 */
class EnginePool extends PgPool {
  readonly #source: ClientSource
  #lent = 0
  #onAllReturned: EndCallback | undefined

  constructor(source: ClientSource) {
    super({ max: source.limit, idleTimeoutMillis: 0 })
    this.#source = source
    source.onConnect(client => this.emit('connect', client))
    source.onClose((client, error) => {
      this.emit('remove', client)
      // Without a listener of it, `error` would end the process.
      if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error, client)
    })
  }

  get totalCount(): number {
    return this.#source.status().size
  }

  get idleCount(): number {
    return this.#source.status().idle
  }

  get waitingCount(): number {
    return this.#source.status().waiting
  }

  get expiredCount(): number {
    return 0
  }

  connect(callback?: ConnectCallback): Promise<PoolClient> | undefined {
    const connecting = this.#connect()
    if (callback === undefined) return connecting
    connecting.then(
      client => process.nextTick(callback, undefined, client, client.release),
      error => process.nextTick(callback, error, undefined, () => {})
    )
    return undefined
  }

  query(...given: unknown[]): unknown {
    const [query] = given
    if (typeof query === 'function') {
      const refusal = new Error(
        'Passing a function as the first parameter to pool.query is not supported'
      )
      return answer(Promise.reject(refusal), query as EndCallback)
    }
    if (!isSubmittable(query)) return queryOn({ query: (...own) => this.#queryOnce(...own) }, given)
    this.#assertOpen()
    const connection = this.#source.connection()
    const submitted = queryOn(connection, given)
    connection.release()
    return submitted
  }

  end(callback?: EndCallback): Promise<void> | undefined {
    return answer(this.#end(), callback) as Promise<void> | undefined
  }

  async #connect(): Promise<PoolClient> {
    this.#assertOpen()
    this.#lent += 1
    try {
      const { connection, client } = await this.#source.connect()
      const lent = lentClient(connection, client, (error, client) => {
        this.#returned()
        this.emit('release', error, client)
      })
      this.emit('acquire', lent)
      return lent
    } catch (error) {
      this.#returned()
      throw error
    }
  }

  async #queryOnce(query: unknown, values: unknown): Promise<unknown> {
    this.#assertOpen()
    const connection = this.#source.connection()
    this.#lent += 1
    try {
      return await connection.query(query, values)
    } finally {
      connection.end()
      this.#returned()
    }
  }

  async #end(): Promise<void> {
    if (this.ending) throw new Error('Called end on pool more than once')
    this.ending = true
    if (this.#lent > 0) {
      await new Promise<void>(resolve => {
        this.#onAllReturned = resolve
      })
    }
    this.ended = true
  }

  #returned(): void {
    this.#lent -= 1
    if (this.#lent === 0) this.#onAllReturned?.()
  }

  #assertOpen(): void {
    if (this.ending) throw new Error('Cannot use a pool after calling end on the pool')
  }
}

/** A `pg.Pool` whose every path goes through the engine. */
export function pgPool(source: ClientSource): pg.Pool {
  return new EnginePool(source) as unknown as pg.Pool
}
