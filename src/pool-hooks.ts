import type { Client } from './client/client.js'
import { ListenerError } from './errors.js'
import { type Emitter, isReplacement } from './events.js'
import type { Judge } from './judge.js'
import type { EngineLogger } from './logger.js'
import type { PoolHooks } from './pool/contract.js'

/** What happens in the pool, as events; the pool itself knows neither listeners nor logs. */
export function poolHooks(emitter: Emitter, judge: Judge, log: EngineLogger): PoolHooks<Client> {
  return {
    judge,
    checkout: client => onCheckout(emitter, judge, client),
    checkin: client => emitter.emit('checkin', { client: client?.raw }),
    softInvalidate: ({ raw }, error) => emitter.emit('soft_invalidate', { client: raw, error }),
    detach: ({ raw }) => emitter.emit('detach', { client: raw }),
    generation: (generation, error) => {
      log.info({ err: error, generation }, 'every older database connection is replaced')
      emitter.emit('generation', { generation, error })
    },
    close: ({ raw }, reason, error) => {
      if (isReplacement(reason)) emitter.emit('invalidate', { client: raw, reason, error })
      emitter.emit('close', { client: raw, reason, error })
    },
    down: (error, isFull) => {
      log.warn({ err: error }, isFull ? 'the database is full' : 'the database cannot be reached')
      emitter.emit('down', { error })
    },
    up: (duration, wasFull) => {
      const durationMs = Math.round(duration)
      const news = wasFull ? 'the database has room again' : 'the database is reachable again'
      log.info({ durationMs }, news)
      emitter.emit('up', { durationMs })
    }
  }
}

/** A listener that throws a disconnect has the next client tried; one that throws anything else fails the checkout. */
function onCheckout(emitter: Emitter, judge: Judge, client: Client): void {
  if (!emitter.isHeard('checkout')) return
  try {
    emitter.askSync('checkout', { client: client.expose() })
  } catch (error) {
    if (judge(error, 'checkout', client).failure === 'disconnect') throw error
    throw new ListenerError('checkout', { cause: error })
  }
}
