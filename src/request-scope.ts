import type { Connection } from './connection.js'
import type { Engine } from './engine.js'
import { Ledger } from './ledger.js'

/** The part of `reply.raw` that tells when a request is over. */
export interface Closable {
  readonly closed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** What one request holds: a connection for each database it touches, and one ledger over all of them. */
export class RequestScope {
  readonly ledger = new Ledger()
  /** What `req.db` is, once it was asked for. */
  root: object | undefined
  readonly #connections = new Map<Engine, Connection>()
  #isEnded = false

  /**
   * Ends the scope with the response: `close` is the only event that always comes, for a client that leaves, a
   * hijacked reply or a time-out as for an ordinary answer.
   */
  endWith(response: Closable): void {
    if (response.closed) this.end()
    else response.once('close', () => this.end())
  }

  connection(engine: Engine): Connection {
    const known = this.#connections.get(engine)
    if (known !== undefined) return known
    const connection = engine.connection(this.ledger, true)
    if (this.#isEnded) connection.end()
    this.#connections.set(engine, connection)
    return connection
  }

  /** Gives every client back, as soon as nothing runs on it, and refuses later statements. */
  end(): void {
    this.#isEnded = true
    for (const connection of this.#connections.values()) connection.end()
  }
}
