import type { ClientConfig } from 'pg'
import type { Client } from './client/client.js'
import { SessionClient, type SessionParameters } from './client/config.js'
import { connect } from './client/connect.js'
import { EVIDENCE_AND_IDENTITY } from './client/evidence.js'
import { OrphanCheck } from './client/orphan-check.js'
import { StatementNames } from './client/statements.js'
import type { Clock } from './clock.js'
import { classify, errorCode } from './disconnect.js'
import { ListenerError } from './errors.js'
import type { Emitter } from './events.js'
import type { EngineLogger } from './logger.js'
import type { EngineOptions } from './options.js'

export interface ConnectorParts {
  readonly config: ClientConfig
  readonly parameters: SessionParameters
  readonly options: EngineOptions
  readonly clock: Clock
  readonly emitter: Emitter
  readonly log: EngineLogger
  /** See {@link ClientOptions.onSend}. */
  readonly onSend: () => void
}

/** Why the database could not be reached when that was tried last. */
export interface ConnectFailure {
  readonly code: string | undefined
  /** ISO 8601. */
  readonly at: string
}

const SECOND = 1000

/** Opens clients, prepares the first of them, and remembers why one could not be opened. */
export class Connector {
  readonly #parts: ConnectorParts
  readonly #statements: StatementNames
  readonly #orphanCheck: OrphanCheck
  #failure: ConnectFailure | undefined
  #firstConnect: Promise<void> | undefined
  #isPrepared = false
  #givesEvidence = false

  constructor(parts: ConnectorParts) {
    const { log, options } = parts
    this.#parts = parts
    this.#statements = new StatementNames(options.statement_cache_size, error =>
      log.info({ err: error }, 'statements are no longer prepared: the sessions do not keep them')
    )
    this.#orphanCheck = new OrphanCheck(error =>
      log.info(
        { err: error },
        'the server cannot be asked to end what runs for a client that is gone'
      )
    )
  }

  get lastError(): ConnectFailure | undefined {
    return this.#failure
  }

  /** Whether this server can be asked later what became of a transaction. */
  get givesEvidence(): boolean {
    return this.#givesEvidence
  }

  async connect(
    onLost: (error: unknown) => void,
    signal?: AbortSignal,
    onRole: (change: 'reader' | 'writer') => void = () => {}
  ): Promise<Client> {
    const { clock, config, emitter, options, parameters } = this.#parts
    const connectOptions = {
      clock,
      connectTimeout: options.connect_timeout * SECOND,
      resetMode: options.pool_reset_on_return,
      statements: this.#statements,
      prepare: (raw: SessionClient) => this.#prepare(raw),
      beforeReset: (raw: SessionClient, inTransaction: boolean) =>
        emitter.isHeard('reset') ? emitter.ask('reset', { client: raw, inTransaction }) : undefined,
      onSend: this.#parts.onSend,
      onRole,
      onLost
    }
    try {
      return await this.#orphanCheck.connect(defaults =>
        connect(new SessionClient(config, parameters, defaults), connectOptions, signal)
      )
    } catch (error) {
      const isAnswer = !signal?.aborted && !(error instanceof ListenerError)
      if (isAnswer) this.#failure = { code: errorCode(error), at: new Date().toISOString() }
      throw error
    }
  }

  /** The `first_connect` listeners run once, on the first client; the others wait for them. After a failure, again. */
  async #prepare(raw: SessionClient): Promise<void> {
    while (!this.#isPrepared) {
      if (this.#firstConnect !== undefined) await this.#firstConnect.catch(() => {})
      else await this.#tryFirst(raw)
    }
    await this.#tell('connect', raw)
  }

  /** One client at a time; one that fails, or is given up, leaves it to the next. */
  async #tryFirst(raw: SessionClient): Promise<void> {
    const ended = new Promise<never>((_, reject) => {
      raw.once('end', () => reject(new Error('Connection terminated unexpectedly')))
    })
    ended.catch(() => {})
    this.#firstConnect = Promise.race([this.#prepareFirst(raw), ended])
    try {
      await this.#firstConnect
      this.#isPrepared = true
    } finally {
      this.#firstConnect = undefined
    }
  }

  async #prepareFirst(raw: SessionClient): Promise<void> {
    const { log, options } = this.#parts
    if (options.resolve_doubt) {
      // In the flush of a statement a refusal would be the statement's: find out before.
      const refusal = await raw.query(EVIDENCE_AND_IDENTITY).then(
        () => undefined,
        error => error
      )
      this.#givesEvidence = refusal === undefined
      if (refusal !== undefined && classify(refusal, 'statement').failure === 'disconnect')
        throw refusal
      if (refusal !== undefined)
        log.info({ err: refusal }, 'doubt about lost commits cannot be resolved here')
    }
    await this.#tell('first_connect', raw)
  }

  /** What a listener throws for a reason of its own says nothing about the database. */
  async #tell(event: 'first_connect' | 'connect', raw: SessionClient): Promise<void> {
    try {
      await this.#parts.emitter.ask(event, { client: raw })
    } catch (error) {
      if (classify(error, 'connect').failure !== 'statement') throw error
      throw new ListenerError(event, { cause: error })
    }
  }
}
