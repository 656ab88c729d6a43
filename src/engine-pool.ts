import type { ClientConfig } from 'pg'
import type { Client } from './client/client.js'
import { sessionParameters } from './client/config.js'
import { systemClock } from './clock.js'
import { Connector } from './connector.js'
import type { Emitter } from './events.js'
import type { Judge } from './judge.js'
import type { EngineLogger } from './logger.js'
import { MeasuredPool } from './measured-pool.js'
import type { EngineOptions } from './options.js'
import { Pool } from './pool/pool.js'
import { poolHooks } from './pool-hooks.js'
import { poolOptions } from './pool-options.js'
import type { Roles } from './roles.js'
import { NoMoreWritesError } from './session-errors.js'
import { watchOver } from './side-look.js'
import type { Telemetry } from './telemetry.js'

export interface EnginePoolParts {
  readonly config: ClientConfig
  readonly options: EngineOptions
  readonly emitter: Emitter
  readonly judge: Judge
  readonly roles: Roles
  readonly log: EngineLogger
  readonly telemetry?: Telemetry | undefined
}

/** The pool of an engine, whose clients are opened by the connector, watched for silence and asked for their role. */
export function openPool(parts: EnginePoolParts): { pool: Pool<Client>; connector: Connector } {
  const { config, emitter, judge, log, options, roles, telemetry } = parts
  const session = { config, parameters: sessionParameters(options), clock: systemClock }
  const watch = watchOver(session, options.half_open_timeout * 1000, (error, generation) =>
    pool.invalidate(error, generation)
  )
  const connector = new Connector({ ...session, options, emitter, log, onSend: () => watch.arm() })
  const connect = async (onLost: (error: unknown) => void, signal: AbortSignal) => {
    const { generation } = pool
    const startedAt = performance.now()
    const client = await connector.connect(onLost, signal, change => {
      roles.met(client.role)
      if (change === 'reader') pool.invalidate(new NoMoreWritesError(), generation)
    })
    roles.admit(client.role)
    watch.add(client, generation)
    telemetry?.created(performance.now() - startedAt)
    return client
  }
  const hooks = poolHooks(emitter, judge, log)
  const poolParts = [poolOptions(options), connect, systemClock, Math.random, hooks] as const
  const pool = telemetry ? new MeasuredPool(telemetry, ...poolParts) : new Pool(...poolParts)
  telemetry?.watch(() => pool.status())
  return { pool, connector }
}
