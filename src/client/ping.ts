import type { Connection, Submittable } from 'pg'
import type { Clock } from '../clock.js'
import { PingTimeoutError } from '../session-errors.js'

/**
 * A bare Sync: 5 bytes out, ReadyForQuery back. No parse, no snapshot, no transaction, and the transaction status
 * stays what it was (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 */
export class Ping implements Submittable {
  /** Where `pg` looks for it, to stop the clock of its own `query_timeout`. */
  callback: (error: Error | undefined) => void

  constructor(settle: (error: Error | undefined) => void) {
    this.callback = settle
  }

  submit(connection: Connection): void {
    connection.sync()
  }

  handleReadyForQuery(): void {
    this.callback(undefined)
  }

  handleError(error: Error): void {
    this.callback(error)
  }
}

/** Resolves when everything sent before the ping, and it, is answered. */
export function answered(send: (ping: Ping) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    send(new Ping(error => (error ? reject(error) : resolve())))
  })
}

/**
 * Sends a ping, and gives the session up if it is not answered in time.
 *
 * @throws {PingTimeoutError} none came within `timeout` milliseconds
 */
export function pingWithin(
  timeout: number,
  clock: Clock,
  send: (ping: Ping) => void,
  lose: (error: unknown) => void
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isSettled = false
    const fail = (error: unknown) => {
      if (isSettled) return
      isSettled = true
      timer.cancel()
      lose(error)
      reject(error)
    }
    // A stall of our own may have let the timer overtake an answer that waits in the socket: read that first.
    const onTimeout = () => setImmediate(() => fail(new PingTimeoutError(timeout)))
    const timer = clock.setTimer(timeout, onTimeout)
    const ping = new Ping(error => {
      if (error) return fail(error)
      isSettled = true
      timer.cancel()
      resolve()
    })
    send(ping)
  })
}

/** Tells once whether a probing exchange that is sent next is answered within `timeout` milliseconds. */
export function expectAnswer(
  connection: Connection,
  clock: Clock,
  timeout: number,
  tell: (error: PingTimeoutError | undefined) => void
): void {
  let isAnswered = false
  const giveUp = () => {
    if (!isAnswered) tell(new PingTimeoutError(timeout))
  }
  // As for a ping: an answer may wait in the socket behind a stall of our own.
  const timer = clock.setTimer(timeout, () => setImmediate(giveUp), { background: true })
  connection.once('closeComplete', () => {
    isAnswered = true
    timer.cancel()
    tell(undefined)
  })
}
