import pg, { type Connection } from 'pg'
import type { Clock } from '../clock.js'
import { CancelError } from '../session-errors.js'
import type { SessionClient } from './config.js'

/** What `pg.Connection` has and its types leave out; a test holds it against the installed `pg`. */
interface CancelConnection {
  readonly stream: { destroy(): void }
  connect(portOrPath: number | string, host?: string): void
  requestSsl(): void
  cancel(processID: number, secretKey: number): void
  on(event: 'connect' | 'sslconnect' | 'end', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

/** What a session was opened with, and what the server told it. */
interface Target {
  readonly host: string
  readonly port: number
  readonly ssl: unknown
  readonly sslNegotiation: string
  readonly processID: number
  readonly secretKey: number
}

/**
 * Asks the server to cancel what a session runs, over a socket of its own: TCP, a Unix socket or TLS, as the session's
 * is. Needs no login and no place among `max_connections`. Resolves when the server has closed that socket, and so
 * has passed the request on: whatever is sent before, may be what gets cancelled
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS).
 *
 * @throws {CancelError} the socket failed, or was not closed within `timeout` milliseconds: then nobody knows
 */
export function sendCancel(raw: SessionClient, clock: Clock, timeout: number): Promise<void> {
  const target = raw as unknown as Target
  return new Promise((resolve, reject) => {
    const connection = open(raw)
    let failure: unknown
    let isSent = false
    const fail = (error: unknown) => {
      failure ??= error
      connection.stream.destroy()
    }
    const timer = clock.setTimer(timeout, () => fail(new Error(`No answer in ${timeout} ms`)))
    const send = () => {
      connection.cancel(target.processID, target.secretKey)
      isSent = true
    }
    connection.on('error', fail)
    connection.on('connect', () => {
      if (!target.ssl) send()
      // With direct negotiation the handshake begins by itself.
      else if (target.sslNegotiation !== 'direct') connection.requestSsl()
    })
    connection.on('sslconnect', send)
    connection.on('end', () => {
      timer.cancel()
      if (failure === undefined && isSent) resolve()
      else reject(new CancelError(failure))
    })
    if (target.host.startsWith('/')) connection.connect(`${target.host}/.s.PGSQL.${target.port}`)
    else connection.connect(target.port, target.host)
  })
}

/** As `pg.Client` makes its own: also over a stream that `connect_args` brings along. */
function open(raw: SessionClient): CancelConnection {
  const { ssl, sslNegotiation } = raw as unknown as Target
  const config = { ssl, sslNegotiation, stream: raw.streamFactory }
  const made: Connection = new pg.Connection(config as object)
  return made as unknown as CancelConnection
}
