import { Socket } from 'node:net'
import type { ClientConfig } from 'pg'
import type { Clock } from '../clock.js'
import type { Client } from './client.js'
import { SessionClient, type SessionParameters } from './config.js'
import { connect } from './connect.js'
import type { ClientStream, Endpoint } from './traffic.js'

export interface SideConnectionParts {
  readonly config: ClientConfig
  readonly parameters: SessionParameters
  readonly clock: Clock
}

/**
 * A session that no pool counts and nobody borrows. It is opened where another one is connected to already, whatever
 * the host's name leads to by now: after a failover that is another server, which says nothing about the first.
 */
export class SideConnection {
  readonly #raw: SessionClient
  /** The first; TLS puts another in front of it. */
  readonly #stream: ClientStream
  readonly #clock: Clock

  /** Without an endpoint, as the configuration says: the application makes the streams, or there is no network. */
  constructor({ config, parameters, clock }: SideConnectionParts, endpoint: Endpoint | undefined) {
    const isOwnStream = 'stream' in config || endpoint === undefined
    const pinned = isOwnStream ? config : { ...config, stream: () => socketTo(endpoint) }
    this.#raw = new SessionClient(pinned, parameters)
    this.#stream = this.#raw.connection.stream
    this.#clock = clock
  }

  /** Somebody has answered, be it with a refusal. */
  get wasAnswered(): boolean {
    return (this.#stream.bytesRead ?? 0) > 0
  }

  /** @throws as {@link connect}, without a time limit of its own */
  open(signal: AbortSignal): Promise<Client> {
    const options = {
      clock: this.#clock,
      connectTimeout: Number.POSITIVE_INFINITY,
      resetMode: null,
      prepare: async () => {},
      beforeReset: () => undefined,
      isShown: () => false,
      onSend: () => {},
      onRole: () => {},
      onLost: () => {}
    }
    return connect(this.#raw, options, signal)
  }
}

/** A socket that goes to the endpoint, wherever it is told to go; the host's name stays what certificates are held against. */
function socketTo({ host, port }: Endpoint): Socket {
  const socket = new Socket()
  const connectTo = socket.connect.bind(socket)
  socket.connect = () => connectTo(port, host)
  return socket
}
