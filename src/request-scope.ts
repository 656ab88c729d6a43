import type { Connection } from './connection.js'
import type { Engine } from './engine.js'
import { Ledger } from './ledger.js'
import { type RouteDatabaseConfig, routeTransaction } from './route-config.js'

/** The part of `reply.raw` that tells when a request is over. */
export interface Closable {
  readonly closed: boolean
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** What one request holds: a connection for each database it touches, and one ledger over all of them. */
export class RequestScope {
  readonly ledger = new Ledger()
  /** What `req.db` is, once it was asked for. */
  root: object | undefined
  readonly #config: RouteDatabaseConfig | undefined
  readonly #connections = new Map<Engine, Connection>()
  #isEnded = false

  constructor(config?: RouteDatabaseConfig) {
    this.#config = config
  }

  /** Whether statements wait for a COMMIT with the reply. */
  get hasTransaction(): boolean {
    return routeTransaction(this.#config) !== undefined
  }

  /**
   * Ends the scope with the response: `close` is the only event that always comes, for a client that leaves, a
   * hijacked reply or a time-out as for an ordinary answer.
   */
  endWith(response: Closable): void {
    // An injected response never says that it is closed.
    if (response.closed || response.destroyed) this.end()
    else response.once('close', () => this.end())
  }

  connection(engine: Engine): Connection {
    const known = this.#connections.get(engine)
    if (known !== undefined) return known
    const connection = engine.connection(this.ledger, true, this.#config?.readOnly)
    const transaction = routeTransaction(this.#config)
    if (transaction) connection.beginRoute(transaction)
    if (this.#isEnded) connection.end()
    this.#connections.set(engine, connection)
    return connection
  }

  /**
   * Commits the route's transaction, one database after the other.
   *
   * @throws the first COMMIT's error; what is behind it is rolled back
   */
  async commit(): Promise<void> {
    try {
      for (const connection of this.#connections.values()) await connection.endRoute('COMMIT')
    } catch (error) {
      await this.rollback()
      throw error
    }
  }

  async rollback(): Promise<void> {
    for (const connection of this.#connections.values()) await connection.endRoute('ROLLBACK')
  }

  /** Gives every client back, as soon as nothing runs on it, and refuses later statements. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const connection of this.#connections.values()) {
      // What nobody has committed until now, nobody will: the client left, or the reply was hijacked.
      connection.endRoute('ROLLBACK').catch(() => {})
      connection.end()
    }
  }
}
