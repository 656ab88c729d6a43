import { channel } from 'node:diagnostics_channel'
import type { ClientBase } from 'pg'
import type { Phase } from './disconnect.js'

/** Why a client was closed to be replaced by another. */
export type InvalidateReason =
  | 'ping'
  | 'recycle'
  | 'generation'
  | 'error'
  | 'soft'
  | 'user'
  | 'reset'

/** Why a client was closed: also because there were enough, because it was detached, or with the engine. */
export type CloseReason = InvalidateReason | 'overflow' | 'detach' | 'close'

/** What happens to clients, by SQLAlchemy's names (https://docs.sqlalchemy.org/en/20/core/events.html). */
export interface EngineEvents {
  /** The engine's first client has connected. Awaited once, before anybody gets a client; after a throw, again. */
  first_connect: { client: ClientBase }
  /** A client has connected. Awaited, inside `connect_timeout`; a throw fails the attempt and closes the client. */
  connect: { client: ClientBase }
  /** A client is about to be lent. Synchronous; a throw fails the checkout and closes the client. */
  checkout: { client: ClientBase }
  /** A client is about to be reset. Awaited; a throw closes the client, and nobody else sees it. */
  reset: { client: ClientBase; inTransaction: boolean }
  /** A client came back; `undefined` when it was closed instead. */
  checkin: { client: ClientBase | undefined }
  /** A client works on, and will be replaced when it comes back. */
  soft_invalidate: { client: ClientBase; error: unknown }
  /** A client is closed and will be replaced. */
  invalidate: { client: ClientBase; reason: InvalidateReason; error: unknown }
  /** Every older client is to be replaced. */
  generation: { generation: number; error: unknown }
  /** A client was taken out of the pool for good. */
  detach: { client: ClientBase }
  /** A client is closed. */
  close: { client: ClientBase; reason: CloseReason; error: unknown }
  /** The server cannot be reached, or has no place left: from here on one prober connects, and checkouts wait for it. */
  down: { error: unknown }
  /** It takes clients again. */
  up: { durationMs: number }
  /** A statement, or without one a transaction, is run again: it is known to have had no effect. */
  replay: { statement: string | undefined; error: unknown }
  /** An error is on its way to the application; an `Error` that a listener returns goes there in its place. */
  handle_error: HandleErrorContext
}

/** SQLAlchemy's `ExceptionContext`. */
export interface HandleErrorContext {
  /** The driver's or server's own error. */
  readonly original: unknown
  /** What the application is to get, unless a listener says otherwise. */
  readonly error: unknown
  /** What an earlier listener put in its place. */
  readonly chained: unknown
  readonly phase: Phase
  /** The text of the statement, where there was one. */
  readonly statement: string | undefined
}

/** Whether a client closed for this reason makes room for another like it. */
export function isReplacement(reason: CloseReason): reason is InvalidateReason {
  return reason !== 'overflow' && reason !== 'detach' && reason !== 'close'
}

export type EventName = keyof EngineEvents
export type Listener<Name extends EventName> = (event: EngineEvents[Name]) => unknown

const EVENT_NAMES: EventName[] = [
  'first_connect',
  'connect',
  'checkout',
  'reset',
  'checkin',
  'soft_invalidate',
  'invalidate',
  'generation',
  'detach',
  'close',
  'down',
  'up',
  'replay',
  'handle_error'
]

const channels = new Map(EVENT_NAMES.map(name => [name, channel(`fastify-pg-engine:${name}`)]))

/**
 * The engine's typed events; the same payloads are published on `node:diagnostics_channel` as
 * `fastify-pg-engine:<event>`.
 */
export class Emitter {
  /** Replaced, never changed: who is added or removed while others listen, is so from the next event on. */
  readonly #listeners = new Map<EventName, readonly { run: Listener<EventName> }[]>()
  readonly #onListenerError: (event: EventName, error: unknown) => void

  constructor(onListenerError: (event: EventName, error: unknown) => void) {
    this.#onListenerError = onListenerError
  }

  /** Adds a listener; listeners run in the order in which they were added. Returns what removes it again. */
  on<Name extends EventName>(event: Name, listener: Listener<Name>): () => void {
    if (!EVENT_NAMES.includes(event)) {
      throw new TypeError(`Expected an event among ${EVENT_NAMES.join(', ')}, got '${event}'`)
    }
    if (typeof listener !== 'function') {
      throw new TypeError(`Expected a function to listen to '${event}', got ${typeof listener}`)
    }
    const added = { run: listener as Listener<EventName> }
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), added])
    return () => {
      const others = this.#listeners.get(event)?.filter(other => other !== added)
      this.#listeners.set(event, others ?? [])
    }
  }

  /** Whether anybody listens, so that a step nobody asked for can be left out. */
  isHeard(event: EventName): boolean {
    return (
      (this.#listeners.get(event)?.length ?? 0) > 0 || channels.get(event)?.hasSubscribers === true
    )
  }

  /** Tells everybody. A listener that throws or rejects is reported and changes nothing. */
  emit<Name extends EventName>(event: Name, payload: EngineEvents[Name]): void {
    for (const { run } of this.#publish(event, payload)) {
      try {
        this.#report(event, run(payload))
      } catch (error) {
        this.#onListenerError(event, error)
      }
    }
  }

  /** Asks everybody, one after the other, waiting for each; the first error stops and is thrown. */
  async ask<Name extends EventName>(event: Name, payload: EngineEvents[Name]): Promise<void> {
    for (const { run } of this.#publish(event, payload)) await run(payload)
  }

  /** Asks everybody without waiting; the first error thrown is passed on. A promise that rejects is reported. */
  askSync<Name extends EventName>(event: Name, payload: EngineEvents[Name]): void {
    for (const { run } of this.#publish(event, payload)) this.#report(event, run(payload))
  }

  /** What the application gets: what the last listener put in the error's place, or what one throws. */
  handleError(context: Omit<HandleErrorContext, 'chained'>): unknown {
    let chained: unknown
    for (const { run } of this.#publish('handle_error', { ...context, chained })) {
      try {
        const answer = run({ ...context, chained } as never)
        if (answer instanceof Error) chained = answer
        else this.#report('handle_error', answer)
      } catch (error) {
        return error
      }
    }
    return chained ?? context.error
  }

  #publish<Name extends EventName>(
    event: Name,
    payload: EngineEvents[Name]
  ): Iterable<{ run: Listener<Name> }> {
    const target = channels.get(event)
    if (target?.hasSubscribers) target.publish(payload)
    return (this.#listeners.get(event) ?? []) as Iterable<{ run: Listener<Name> }>
  }

  /** A promise that nobody waits for must not end the process when it rejects. */
  #report(event: EventName, result: unknown): void {
    if (!(result instanceof Promise)) return
    result.catch(error => this.#onListenerError(event, error))
  }
}
