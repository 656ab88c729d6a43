import type { Connection } from './connection.js'
import type { Engine } from './engine.js'
import type { RouteDatabaseConfig } from './route-config.js'

/**
 * The named databases, for the compiler. Extend it by merging:
 *
 * ```ts
 * declare module 'fastify-pg-engine' {
 *   interface Databases { reports: true }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: users extend it by merging, which a type alias does not allow
export interface Databases {}

declare module 'fastify' {
  interface FastifyInstance {
    /** The default database, and the named ones as its members. */
    readonly db: Engine & { readonly [Name in keyof Databases]: Engine }
  }

  interface FastifyRequest {
    /** This request's connection to the default database, and to the named ones as its members. */
    readonly db: Connection & { readonly [Name in keyof Databases]: Connection }
  }

  interface FastifyContextConfig {
    db?: RouteDatabaseConfig
  }
}
