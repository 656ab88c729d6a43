import type { Client } from './client/client.js'
import type { Runnable } from './client/outbox.js'

/** Whoever waits for work whose time is limited. */
export class Caller {
  /** It was told, and has gone on: nothing more is written for it, or begun. */
  isGone = false
  /** What runs for it cannot be left to itself on this client: it is part of a transaction, or leaves something behind. */
  boundTo: Client | undefined
  /** That transaction is one of ours, which the application does not know of. */
  isInOwnTransaction = false
  #handed: { client: Client; query: Runnable } | undefined

  /** What was handed to the client for it is taken out again if it goes before that was written. */
  handed(client: Client, query: Runnable): void {
    this.#handed = { client, query }
  }

  leave(reason: unknown): void {
    this.isGone = true
    const handed = this.#handed
    if (handed?.query.isSubmitted === false) handed.client.interrupt(reason, handed.query)
  }
}
