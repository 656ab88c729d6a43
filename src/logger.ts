/** The part of a Fastify (pino) logger that the engine uses. */
export interface EngineLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}
