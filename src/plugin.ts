import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  RouteOptions
} from 'fastify'
import fp from 'fastify-plugin'
import { Engine } from './engine.js'
import { failureReply, findEngineError } from './http.js'
import { type DbPluginOptions, pluginOptionFaults, routeConfigFaults } from './plugin-options.js'
import { Registry } from './registry.js'
import { RequestScope } from './request-scope.js'
import { invalidOptions, readSettings } from './settings.js'
import './augment.js'

const kRegistry = Symbol('fastify-pg-engine.registry')
const kScope = Symbol('fastify-pg-engine.scope')
const kReply = Symbol('fastify-pg-engine.reply')

interface WithRegistry {
  [kRegistry]?: Registry
}

interface WithScope {
  server: WithRegistry
  [kScope]: RequestScope | null
  [kReply]: FastifyReply | null
}

const plugin: FastifyPluginAsync<DbPluginOptions> = async (app, options) => {
  const { name, isDisconnect } = options
  const faults = pluginOptionFaults(options)
  if (faults.length > 0) throw invalidOptions(name, faults)

  const registry = ownRegistry(app)
  registry.assertFree(name)
  const engine = new Engine({ settings: readSettings(options), log: app.log, name, isDisconnect })
  registry.add(name, engine)
  app.addHook('onClose', () => engine.close())
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
  app.decorateRequest(kScope, null)
  app.decorateRequest(kReply, null)
  app.decorateRequest('db', {
    getter() {
      const request = this as unknown as WithScope
      const registry = request.server[kRegistry] as Registry
      return registry.requestRoot(scopeOf(request)) as FastifyRequest['db']
    }
  })
  app.addHook('onRequest', onRequest)
  app.addHook('onRoute', onRoute)
  app.addHook('onError', onError)
}

/** A request that never touches `req.db` costs no more than this. */
function onRequest(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const scoped = request as unknown as WithScope
  scoped[kReply] = reply
  // A hook that ran before this one has used the database already.
  scoped[kScope]?.endWith(reply.raw)
  done()
}

function scopeOf(request: WithScope): RequestScope {
  const known = request[kScope]
  if (known !== null) return known
  const scope = new RequestScope()
  request[kScope] = scope
  const reply = request[kReply]
  if (reply) scope.endWith(reply.raw)
  return scope
}

/** Last of the route's `onSend` hooks, so that those of other plugins still find their connection. */
function onRoute(route: RouteOptions): void {
  const faults = routeConfigFaults(route.config?.db)
  if (faults.length > 0) throw invalidOptions(`of ${route.url}`, faults)
  route.onSend = [route.onSend ?? [], onSend].flat()
}

async function onSend(
  request: FastifyRequest,
  _reply: FastifyReply,
  payload: unknown
): Promise<unknown> {
  const scope = (request as unknown as WithScope)[kScope]
  if (scope === null) return payload
  // A slow reader must not hold a connection; a stream may still read from it, and ends with its own or the reply's close.
  if (isNodeStream(payload)) payload.once('close', () => scope.end())
  else if (!isWebStream(payload)) scope.end()
  return payload
}

/** In a hook, since what it sets survives the application's own error handler, whatever that sends. */
function onError(
  request: FastifyRequest,
  reply: FastifyReply,
  error: Error,
  done: () => void
): void {
  const found = findEngineError(error)
  if (found !== undefined) {
    const { statusCode, headers } = failureReply(found, {
      method: request.method,
      ledger: (request as unknown as WithScope)[kScope]?.ledger,
      isIdempotent: request.routeOptions.config.db?.idempotent === true
    })
    reply.code(statusCode).headers(headers)
  }
  done()
}

function isNodeStream(payload: unknown): payload is NodeJS.ReadableStream {
  return typeof payload === 'object' && payload !== null && 'pipe' in payload
}

function isWebStream(payload: unknown): boolean {
  return payload instanceof ReadableStream || payload instanceof Response
}

export default fp(plugin, { fastify: '5.x', name: 'fastify-pg-engine' })
