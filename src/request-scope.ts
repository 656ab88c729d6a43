import { breakOffVisibly } from './break-off.js'
import type { Connection } from './connection.js'
import type { Engine } from './engine.js'
import { Ledger } from './ledger.js'
import { type RouteDatabaseConfig, routeTransaction } from './route-config.js'
import type { Deadline } from './stop-sign.js'

/** What says that it is closed. */
interface Closing {
  readonly closed: boolean
  readonly destroyed: boolean
  on(event: 'close', listener: () => void): unknown
}

/** The part of `reply.raw` that tells when a request is over. */
export interface Closable extends Closing {
  /** The reply was ended, whether or not all of it has been read. */
  readonly writableEnded: boolean
  /**
   * HTTP/2 has one below the response, which does not know whether it is closed already, and of HEAD does not tell when
   * it is.
   */
  readonly stream?: Closing
  destroy(error?: Error): unknown
}

/** What the way its statements end depends on. */
export interface RequestFacts {
  /** Its method asks for no effect. */
  readonly isSafe: boolean
  /** Clock reading after which its work is of no use. */
  readonly deadline?: Deadline | undefined
}

/** What one request holds: a connection for each database it touches, and one ledger over all of them. */
export class RequestScope {
  readonly ledger = new Ledger()
  /** What `req.db` is, once it was asked for. */
  root: object | undefined
  readonly #config: RouteDatabaseConfig | undefined
  readonly #request: RequestFacts
  readonly #connections = new Map<Engine, Connection>()
  #isEnded = false
  #isAnswering = false

  constructor(config?: RouteDatabaseConfig, request: RequestFacts = { isSafe: false }) {
    this.#config = config
    this.#request = request
  }

  /** Whether statements wait for a COMMIT with the reply. */
  get hasTransaction(): boolean {
    return routeTransaction(this.#config) !== undefined
  }

  /** Whether there may be statements that do. */
  get isOpen(): boolean {
    return this.hasTransaction && this.#connections.size > 0
  }

  /**
   * Ends the scope with the response: `close` is the only event that always comes, for a client that leaves, a
   * hijacked reply or a time-out as for an ordinary answer.
   */
  endWith(response: Closable): void {
    breakOffVisibly(response)
    const closing = response.stream ?? response
    // An injected response never says that it is closed.
    if (closing.closed || closing.destroyed) this.#onClose(response)
    else closing.on('close', () => this.#onClose(response))
  }

  get isAnswering(): boolean {
    return this.#isAnswering
  }

  /** Its handler is through: what is left to be done is the reply's own. */
  answering(): void {
    this.#isAnswering = true
  }

  #onClose(response: Closable): void {
    if (response.writableEnded) this.end()
    else this.#abort()
  }

  /** The client has left before it was answered. */
  #abort(): void {
    if (this.#isEnded) return
    const connections = [...this.#connections.values()]
    if (this.#isAnswering) {
      this.#isEnded = true
      for (const connection of connections) connection.abandon()
      return
    }
    const isWriting = connections.some(connection => connection.isWriting)
    const { isSafe } = this.#request
    const goesOn = connections.map(connection => connection.abort(isSafe, isWriting))
    if (!goesOn.includes(true)) this.#isEnded = true
  }

  connection(engine: Engine): Connection {
    const known = this.#connections.get(engine)
    if (known !== undefined) return known
    const connection = engine.connection(
      this.ledger,
      true,
      this.#config?.readOnly,
      this.#request.deadline
    )
    const transaction = routeTransaction(this.#config)
    if (transaction) connection.beginRoute(transaction)
    if (this.#isEnded) connection.end()
    this.#connections.set(engine, connection)
    return connection
  }

  /**
   * Commits the route's transaction, one database after the other; none where one of them is known to be lost or failed.
   *
   * @throws the first COMMIT's error; what is behind it is rolled back
   */
  async commit(): Promise<void> {
    try {
      for (const connection of this.#connections.values()) connection.assertCommittable()
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
      if (this.hasTransaction) connection.endRoute('ROLLBACK').catch(() => {})
      connection.end()
    }
  }
}
