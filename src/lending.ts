import type { QueryConfig, QueryResult } from 'pg'
import type { Account } from './account.js'
import type { Caller } from './caller.js'
import { runCancellable } from './cancellable.js'
import type { Client } from './client/client.js'
import { Exchange } from './client/exchange.js'
import { Script } from './client/script.js'
import { ConnectionClosedError } from './errors.js'
import type { OpenTransaction } from './open-transaction.js'
import type { Replay } from './replay.js'
import { runScript } from './run-script.js'
import type { Session } from './session.js'
import type { Use } from './session-host.js'
import { statementKind } from './statement-kind.js'
import { beginning } from './statement-timeout.js'

/** The order in which a connection's statements are run. */
export interface Line {
  /** The one that whatever is started now is part of. */
  readonly transaction: OpenTransaction | undefined
  /** Runs work with the open transaction if it is the one to begin it, and after whatever begins it if it is not. */
  run<Result>(
    signals: Use['signals'],
    text: string | undefined,
    work: (caller: Caller, carried: OpenTransaction | undefined) => Promise<Result>
  ): Promise<Result>
}

/**
 * Has a session's client used for what nothing can ride in front of, and of which nobody sees what it does: queries of a
 * library's own, and texts of several statements. In its turn, so that it is part of the transaction that it was started
 * in, and neither overtakes nor is overtaken.
 */
export class Lending {
  readonly #line: Line
  readonly #session: Session
  readonly #account: Account
  readonly #replay: Replay

  constructor(line: Line, session: Session, account: Account, replay: Replay) {
    this.#line = line
    this.#session = session
    this.#account = account
    this.#replay = replay
  }

  lend<Result>(
    text: string | undefined,
    work: (client: Client) => Result | Promise<Result>,
    use?: Use
  ): Promise<Result> {
    const started = this.#account.start()
    const { transaction } = this.#line
    return this.#line.run(use?.signals, text, (caller, carried) => {
      return this.#session.use(async client => {
        this.#enter(transaction, caller)
        // Not awaited without need, or it would be overtaken.
        if (carried !== undefined) await this.#begin(client, carried, caller)
        this.#lent(client, text, started, transaction)
        caller.boundTo = client
        return work(client)
      }, use)
    })
  }

  /** Runs a text of several statements, which may end the transaction that it is part of; that is refused afterwards. */
  script(config: QueryConfig, signals: Use['signals']): Promise<QueryResult> {
    const { text } = config
    const account = this.#account
    const session = this.#session
    const started = account.start()
    const { transaction } = this.#line
    const onEnded = transaction && ((error: Error) => session.giveUp(error))
    const use = { statement: text, signals }
    return this.#line.run(signals, text, (caller, carried) => {
      return session.use(async client => {
        const refusal = () => {
          const mayBeWritten = !account.isCutOff(started, 'untracked') && !caller.isGone
          return mayBeWritten ? undefined : new ConnectionClosedError()
        }
        const written = () => {
          caller.boundTo = client
          client.role.noteText(text)
          account.written('untracked', client.isInTransaction)
          if (transaction) transaction.isUnseen = true
        }
        this.#enter(transaction, caller)
        if (carried !== undefined) await this.#begin(client, carried, caller)
        this.#replay.taint(client, undefined)
        this.#replay.begins(client, started)
        const script = new Script(config, written, refusal)
        caller.handed(client, script)
        const run = (one: Script) => runCancellable<unknown>(client, one, signals, account)
        return runScript(client, script, onEnded, run)
      }, use)
    })
  }

  #enter(transaction: OpenTransaction | undefined, caller: Caller): void {
    this.#session.lostTransaction.assertNone()
    transaction?.assertNotOver()
    transaction?.mayHaveWritten()
    if (caller.isGone) throw new ConnectionClosedError()
  }

  async #begin(client: Client, carried: OpenTransaction, caller: Caller): Promise<void> {
    const parts = beginning(carried.begin, this.#session.stop.timeLeft)
    const begin = new Exchange(parts, () => {
      caller.boundTo = client
    })
    await client.run(begin, () => carried.answered(client.isInTransaction))
  }

  #lent(
    client: Client,
    text: string | undefined,
    started: number,
    transaction: OpenTransaction | undefined
  ): void {
    const kind = text === undefined ? undefined : statementKind(text)
    if (kind?.kind === 'read') return
    this.#replay.taint(client, undefined)
    this.#replay.begins(client, started)
    const { isInTransaction } = client
    // A COMMIT in it would not be seen.
    const isUndone = isInTransaction && kind?.control === undefined && kind?.several === false
    if (transaction && !isUndone) transaction.isUnseen = true
    this.#account.written(isUndone ? 'change' : 'untracked', isInTransaction)
  }
}
