import type { Emitter } from './events.js'
import type { EngineLogger } from './logger.js'
import type { EngineOptions } from './options.js'

/**
 * Logs what happens to clients: with `true` what costs one, with `"debug"` each loan as well. Which client it was is
 * told by its server process id (`pg_stat_activity.pid`).
 */
export function echoPool(
  emitter: Emitter,
  mode: EngineOptions['echo_pool'],
  log: EngineLogger
): void {
  if (mode === false) return
  emitter.on('connect', ({ client }) => log.info(idOf(client), 'pool: connect'))
  emitter.on('soft_invalidate', ({ client, error }) =>
    log.info({ ...idOf(client), err: error }, 'pool: soft invalidate')
  )
  emitter.on('invalidate', ({ client, reason, error }) =>
    log.info({ ...idOf(client), reason, err: error }, 'pool: invalidate')
  )
  emitter.on('detach', ({ client }) => log.info(idOf(client), 'pool: detach'))
  emitter.on('close', ({ client, reason }) => log.info({ ...idOf(client), reason }, 'pool: close'))
  if (mode !== 'debug') return
  emitter.on('checkout', ({ client }) => log.info(idOf(client), 'pool: checkout'))
  emitter.on('reset', ({ client, inTransaction }) =>
    log.info({ ...idOf(client), inTransaction }, 'pool: reset')
  )
  emitter.on('checkin', ({ client }) => log.info(idOf(client), 'pool: checkin'))
}

function idOf(client: object | undefined): { serverPid: unknown } {
  return { serverPid: client && Reflect.get(client, 'processID') }
}
