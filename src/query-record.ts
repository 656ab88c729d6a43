import type { QueryConfig, QueryResult } from 'pg'
import { errorCode } from './disconnect.js'
import type { EngineLogger } from './logger.js'
import type { EngineOptions } from './options.js'

/** One statement of a connection. Flask-SQLAlchemy's `_QueryInfo`, which leaves out the statements that fail. */
export interface RecordedQuery {
  readonly statement: string
  /** Left out under `hide_parameters`. */
  readonly parameters?: readonly unknown[]
  /** Milliseconds since the epoch. */
  readonly startTime: number
  /** Milliseconds. */
  readonly duration: number
  /** `file:line (function)` of the application's code that started it, or `<unknown>`. */
  readonly location: string
  /** What the application got, where it failed. */
  readonly error?: unknown
}

/** Our own frames and those of packages: what is left is the application. */
const NOT_THE_APPLICATION =
  /node_modules|node:internal|[\\/](src|dist)[\\/](client[\\/])?(query-record|statement-runner|connection|engine|shared-reads|transaction|session)\.[jt]s/
const FRAME = /^\s*at (?:async )?(?:(.+?) \()?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/

/** Records and logs statements, for engines whose options ask for it (`record_queries`, `echo`). */
export class QueryRecorder {
  readonly recorded: RecordedQuery[] = []
  readonly #options: EngineOptions
  readonly #log: EngineLogger

  constructor(options: EngineOptions, log: EngineLogger) {
    this.#options = options
    this.#log = log
  }

  /** To be called by whoever starts the statement, while its own caller is on the stack. */
  async observe<Result extends QueryResult>(
    config: QueryConfig,
    values: unknown[] | undefined,
    run: () => Promise<Result>
  ): Promise<Result> {
    const location = callerOf(new Error().stack)
    const startTime = Date.now()
    const startedAt = performance.now()
    const parameters = this.#options.hide_parameters
      ? {}
      : { parameters: values ?? config.values ?? [] }
    const query = { statement: config.text, ...parameters, startTime, location }
    try {
      const result = await run()
      this.#add({ ...query, duration: performance.now() - startedAt }, result)
      return result
    } catch (error) {
      this.#add({ ...query, duration: performance.now() - startedAt, error }, undefined)
      throw error
    }
  }

  #add(query: RecordedQuery, result: QueryResult | undefined): void {
    if (this.#options.record_queries) this.recorded.push(query)
    if (this.#options.echo === false) return
    const { error, ...fields } = query
    const outcome =
      error === undefined ? { rowCount: result?.rowCount } : { err: this.#loggable(error) }
    const isDetailed = this.#options.echo === 'debug' && !this.#options.hide_parameters
    const rows = isDetailed ? { rows: result?.rows } : {}
    this.#log.info({ ...fields, ...outcome, ...rows }, 'statement')
  }

  /** Messages and details of the server quote values: "Key (email)=(…) already exists". */
  #loggable(error: unknown): unknown {
    if (!this.#options.hide_parameters || !(error instanceof Error)) return error
    return { type: error.name, code: errorCode(error) }
  }
}

function callerOf(stack: string | undefined): string {
  const frames = stack?.split('\n').slice(1) ?? []
  const own = frames.find(frame => !NOT_THE_APPLICATION.test(frame))
  const [, name, file, line] = FRAME.exec(own ?? '') ?? []
  if (file === undefined) return '<unknown>'
  return name === undefined ? `${file}:${line}` : `${file}:${line} (${name})`
}
