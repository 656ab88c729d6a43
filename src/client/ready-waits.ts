import type { EventEmitter } from 'node:events'

const READY = 'readyForQuery'

/**
 * Tells whoever waits for a lost connection to be ready, now or later, that the wait is over. A cursor closes itself
 * with a Sync and waits for its answer, also where none can come any more: a stream on it would never end, nor fail.
 */
export function endReadyWaits(connection: EventEmitter): void {
  // Made by `once`; the driver's own listeners and ours stay as they are, since nothing is ready.
  const waiting = connection.rawListeners(READY).filter(listener => 'listener' in listener)
  for (const listener of waiting) process.nextTick(listener)
  connection.on('newListener', (event, listener) => {
    if (event === READY) process.nextTick(listener)
  })
}
