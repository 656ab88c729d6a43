import type { Client } from './client/client.js'
import { Exchange } from './client/exchange.js'
import { ControlPart } from './client/parts.js'

/** The transaction that statements are part of now: begun with the first of them, in its flush. */
export class OpenTransaction {
  readonly begin: string
  readonly isReadOnly: boolean
  #isBegun = false
  /** The statement that carries BEGIN. */
  #beginning: Promise<unknown> | undefined

  constructor(begin: string, isReadOnly: boolean) {
    this.begin = begin
    this.isReadOnly = isReadOnly
  }

  get isBegun(): boolean {
    return this.#isBegun
  }

  /**
   * Waits for a statement that carries BEGIN: if that fails, those behind it would be committed one by one. Whether
   * the caller's is the one to carry it now.
   */
  async awaitTurn(client: Client): Promise<boolean> {
    while (this.#beginning !== undefined) await this.#beginning.catch(() => {})
    return client.lost === undefined && !this.#isBegun
  }

  /** The statement that carries BEGIN is on its way. */
  async beginWith(client: Client, running: Promise<unknown>): Promise<void> {
    this.#beginning = running
    try {
      await running
    } finally {
      this.#beginning = undefined
      this.#isBegun = client.lost === undefined && client.isInTransaction
    }
  }

  /** BEGIN by itself, for what nothing can ride in front of: a script, or a query of a library's own. */
  beginAlone(client: Client): Promise<void> {
    return this.beginWith(client, client.run(new Exchange([new ControlPart(this.begin)], () => {})))
  }
}
