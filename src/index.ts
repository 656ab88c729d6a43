export type { Databases } from './augment.js'
export type { Connection } from './connection.js'
export type { Engine, EngineStatus } from './engine.js'
export * from './errors.js'
export type {
  CloseReason,
  EngineEvents,
  EventName,
  HandleErrorContext,
  InvalidateReason,
  Listener
} from './events.js'
export { findEngineError, type Problem, toProblem } from './http.js'
export type { DisconnectContext, IsDisconnect } from './judge.js'
export type { EngineOptions, EngineOptionsInput } from './options.js'
export { default } from './plugin.js'
export type { DbPluginOptions } from './plugin-options.js'
export type { RecordedQuery } from './query-record.js'
export type {
  Queryable,
  SessionQueryable,
  StatementConfig,
  TransactionOptions
} from './queryable.js'
export type { RouteDatabaseConfig } from './route-config.js'
export type { Transaction } from './transaction.js'
