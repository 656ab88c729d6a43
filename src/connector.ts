import type { ClientConfig } from 'pg'
import type { Client } from './client/client.js'
import { SessionClient, type SessionParameters } from './client/config.js'
import { connect } from './client/connect.js'
import { askIdentity, EVIDENCE_AND_IDENTITY, identityOf } from './client/evidence.js'
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
/** What gives listeners a client that goes on being used. */
const SHOWING = ['checkout', 'reset', 'checkin', 'detach', 'soft_invalidate'] as const

/** Opens clients, prepares the first of them, and remembers why one could not be opened. */
export class Connector {
  readonly #parts: ConnectorParts
  readonly #statements: StatementNames
  readonly #orphanCheck: OrphanCheck
  #failure: ConnectFailure | undefined
  #firstConnect: Promise<void> | undefined
  #isPrepared = false
  /** The server lets us ask which one it is, and for its transactions. */
  #tellsIdentity = false

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
    return this.#parts.options.resolve_doubt && this.#tellsIdentity
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
      prepare: (raw: SessionClient, client: Client) => this.#prepare(raw, client),
      beforeReset: (raw: SessionClient, inTransaction: boolean) =>
        emitter.isHeard('reset') ? emitter.ask('reset', { client: raw, inTransaction }) : undefined,
      isShown: () => SHOWING.some(event => emitter.isHeard(event)),
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
  async #prepare(raw: SessionClient, client: Client): Promise<void> {
    while (!this.#isPrepared) {
      if (this.#firstConnect !== undefined) await this.#firstConnect.catch(() => {})
      else await this.#tryFirst(raw, client)
    }
    // Behind a proxy nothing else tells a session from another server's of the same number.
    if (this.#tellsIdentity) client.server ??= await askIdentity(raw)
    await this.#tell('connect', raw)
  }

  /** One client at a time; one that fails, or is given up, leaves it to the next. */
  async #tryFirst(raw: SessionClient, client: Client): Promise<void> {
    const ended = new Promise<never>((_, reject) => {
      raw.once('end', () => reject(new Error('Connection terminated unexpectedly')))
    })
    ended.catch(() => {})
    this.#firstConnect = Promise.race([this.#prepareFirst(raw, client), ended])
    try {
      await this.#firstConnect
      this.#isPrepared = true
    } finally {
      this.#firstConnect = undefined
    }
  }

  async #prepareFirst(raw: SessionClient, client: Client): Promise<void> {
    const { log, options } = this.#parts
    if (options.resolve_doubt || options.half_open_timeout > 0) {
      // In the flush of a statement a refusal would be the statement's: find out before.
      const refusal = await raw.query({ text: EVIDENCE_AND_IDENTITY, rowMode: 'array' }).then(
        ({ rows }) => {
          client.server = identityOf(rows[0]?.slice(3) ?? [])
        },
        error => error
      )
      this.#tellsIdentity = refusal === undefined
      if (refusal !== undefined && classify(refusal, 'statement').failure === 'disconnect')
        throw refusal
      if (refusal !== undefined && options.resolve_doubt)
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
