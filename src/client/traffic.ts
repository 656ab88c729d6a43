import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SessionClient } from './config.js'

/** What the application gives us in place of a socket need not know what a socket knows. */
export type ClientStream = Duplex &
  Partial<Pick<Socket, 'bytesRead' | 'bytesWritten' | 'remoteAddress' | 'remotePort' | 'localPort'>>

/** Where a socket leads to. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** What a session's socket tells without being asked for anything. */
export class Traffic {
  readonly #raw: SessionClient

  constructor(raw: SessionClient) {
    this.#raw = raw
  }

  get bytesRead(): number {
    return this.#stream.bytesRead ?? 0
  }

  get bytesWritten(): number {
    return this.#stream.bytesWritten ?? Number.POSITIVE_INFINITY
  }

  /** None where there is no network, or a stream of the application's own. */
  get endpoint(): Endpoint | undefined {
    const { remoteAddress, remotePort } = this.#stream
    if (remoteAddress === undefined || remotePort === undefined) return undefined
    return { host: remoteAddress, port: remotePort }
  }

  /** The same for all that lead to the same place. */
  get address(): string {
    const { endpoint } = this
    return endpoint === undefined ? '' : `${endpoint.host} ${endpoint.port}`
  }

  /** Our end's, as the server sees it if nothing is in between. */
  get localPort(): number | undefined {
    return this.#stream.localPort
  }

  /** The one in use: with TLS it takes the place of another. */
  get #stream(): ClientStream {
    return this.#raw.connection.stream
  }
}
