import { Client } from './client.js'
import type { ClientOptions } from './client-options.js'
import type { SessionClient } from './config.js'
import { Script } from './script.js'

export interface ConnectOptions extends ClientOptions {
  /** Milliseconds for the whole attempt, `prepare` included. */
  readonly connectTimeout: number
  /** Runs on the connected client before anybody gets it; what it throws fails the attempt. */
  prepare(raw: SessionClient, client: Client): Promise<void>
}

/**
 * Opens a session. However the attempt fails, nothing of it is left behind.
 *
 * @throws the driver's error, `prepare`'s, the signal's reason, or ETIMEDOUT after `connectTimeout`
 */
export async function connect(
  raw: SessionClient,
  options: ConnectOptions,
  signal?: AbortSignal
): Promise<Client> {
  signal?.throwIfAborted()
  const client = new Client(raw, options)
  const { promise: calledOff, reject: callOff } = rejectable()
  const timer = options.clock.setTimer(options.connectTimeout, () => callOff(connectTimeout()))
  const onAbort = () => callOff(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([calledOff, open(client, raw, options)])
    return client
  } catch (error) {
    void client.close()
    throw error
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

async function open(client: Client, raw: SessionClient, options: ConnectOptions): Promise<void> {
  await raw.connect()
  await options.prepare(raw, client)
  if (client.lost !== undefined) throw client.lost
  // Whatever the listeners began, nobody's statements are to be part of it.
  if (client.isInTransaction) await client.run(new Script('ROLLBACK', () => {}))
}

/** A promise that only ever rejects, and that nobody needs to wait for. */
function rejectable(): { promise: Promise<never>; reject: (error: unknown) => void } {
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<never>((_, rejectPromise) => {
    reject = rejectPromise
  })
  promise.catch(() => {})
  return { promise, reject }
}

function connectTimeout(): Error {
  return Object.assign(new Error('The connection was not established in time'), {
    code: 'ETIMEDOUT',
    syscall: 'connect'
  })
}
