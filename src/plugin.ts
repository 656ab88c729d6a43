import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyPluginAsync,
  FastifyRequest,
  RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { pgUrlFault } from './client/config.js'
import { Engine } from './engine.js'
import { type DbPluginOptions, pluginOptionFaults } from './plugin-options.js'
import { Registry } from './registry.js'
import { keepHeaders, onError, onRequest, onSend, onSendProblem } from './reply-hooks.js'
import {
  kFailure,
  kHeaders,
  kPending,
  kReply,
  kScope,
  kStartedAt,
  kThrown,
  scopeOf
} from './request-state.js'
import { routeConfigFaults } from './route-config.js'
import { invalidOptions, readSettings } from './settings.js'
import './augment.js'

const kRegistry = Symbol('fastify-pg-engine.registry')

interface WithRegistry {
  [kRegistry]?: Registry
}

const plugin: FastifyPluginAsync<DbPluginOptions> = async (app, options) => {
  const { name, isDisconnect, onAbort } = options
  const registry = ownRegistry(app)
  const faults = [...registry.nameFaults(name), ...pluginOptionFaults(options)]
  const settings = readSettings(options, faults, pgUrlFault)
  // Which of several databases it is about, is on every line.
  const log = name === undefined ? app.log : app.log.child({ database: name })
  const engine = new Engine({ settings, log, name, isDisconnect, onAbort })
  if (options.requireDatabase) await assertAnswers(engine, log)
  registry.add(name, engine)
  if (options.problemJson) app.addHook('onSend', onSendProblem)
  // Fastify waits for the requests under way, and only then calls onClose: by then the time must be running.
  app.addHook('preClose', async () => engine.drain())
  app.addHook('onClose', () => engine.close())
}

/** @throws {UnavailableError | MisconfiguredError} it does not; nothing of the engine is left then */
async function assertAnswers(engine: Engine, log: FastifyBaseLogger): Promise<void> {
  try {
    await engine.ping()
  } catch (error) {
    log.error({ err: error }, 'the database is required, and does not answer')
    await engine.close()
    throw error
  }
}

/** The registry of this encapsulation context; the first one on the way down brings the hooks. */
function ownRegistry(app: FastifyInstance & WithRegistry): Registry {
  if (Object.hasOwn(app, kRegistry) && app[kRegistry]) return app[kRegistry]
  const outer = app[kRegistry]
  const registry = new Registry(outer)
  app.decorate(kRegistry, registry)
  app.decorate('db', { getter: () => registry.root as FastifyInstance['db'] })
  if (outer === undefined) addRequests(app)
  return registry
}

function addRequests(app: FastifyInstance): void {
  for (const key of [kScope, kReply, kFailure, kThrown, kHeaders, kPending, kStartedAt])
    app.decorateRequest(key, null)
  app.decorateRequest('db', {
    getter() {
      const { [kRegistry]: registry } = this.server as WithRegistry
      return (registry as Registry).requestRoot(scopeOf(this)) as FastifyRequest['db']
    }
  })
  app.addHook('onRequest', onRequest)
  app.addHook('onRoute', onRoute)
  app.addHook('onError', onError)
  endKeepAlive(app)
}

/** A socket that is kept open after a late reply would keep `app.close()` waiting for as long as its client likes. */
function endKeepAlive(app: FastifyInstance): void {
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    if (isClosing && request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    done(null, payload)
  })
}

/** Last of the route's hooks: other plugins' `onSend` still find their connection, their `onRequest` has set its headers. */
function onRoute(route: RouteOptions): void {
  const faults = routeConfigFaults(route.config?.db)
  if (faults.length > 0)
    throw invalidOptions(`the route ${[route.method].flat()} ${route.url}`, faults)
  route.onSend = [route.onSend ?? [], onSend].flat()
  if (route.config?.db?.transaction) {
    route.onRequest = [route.onRequest ?? [], keepHeaders].flat()
  }
}

export default fp(plugin, { fastify: '5.x', name: 'fastify-pg-engine' })
