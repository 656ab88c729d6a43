import { channel } from 'node:diagnostics_channel'
import type { ClientBase } from 'pg'

/** Why a client was replaced. */
export type CloseReason =
  | 'ping'
  | 'recycle'
  | 'generation'
  | 'error'
  | 'soft'
  | 'user'
  | 'overflow'
  | 'reset'
  | 'detach'
  | 'close'

/** What happens to clients, by SQLAlchemy's pool event names. */
export interface EngineEvents {
  /** A client has connected. Awaited, inside `connect_timeout`; a throw fails the attempt and closes the client. */
  connect: { client: ClientBase }
  /** A client is about to be lent. Synchronous; a throw fails the checkout and closes the client. */
  checkout: { client: ClientBase }
  /** A client is about to be reset. Awaited; a throw closes the client, and nobody else sees it. */
  reset: { client: ClientBase }
  /** A client came back; `undefined` when it was invalidated while it was lent. */
  checkin: { client: ClientBase | undefined }
  /** Every older client is to be replaced. */
  invalidate: { generation: number; error: unknown }
  /** A client is closed for good. */
  close: { client: ClientBase; reason: CloseReason; error: unknown }
}

export type EventName = keyof EngineEvents
export type Listener<Name extends EventName> = (event: EngineEvents[Name]) => unknown

const CHANNEL_PREFIX = 'fastify-pg-engine:'
const EVENT_NAMES: EventName[] = ['connect', 'checkout', 'reset', 'checkin', 'invalidate', 'close']

/**
 * The engine's typed events; the same payloads are published on `node:diagnostics_channel` as
 * `fastify-pg-engine:<event>`.
 */
export class Emitter {
  readonly #listeners = new Map<EventName, Set<Listener<EventName>>>()
  readonly #channels = new Map(EVENT_NAMES.map(name => [name, channel(CHANNEL_PREFIX + name)]))
  readonly #onListenerError: (event: EventName, error: unknown) => void

  constructor(onListenerError: (event: EventName, error: unknown) => void) {
    this.#onListenerError = onListenerError
  }

  /** Adds a listener; listeners run in the order in which they were added. Returns what removes it again. */
  on<Name extends EventName>(event: Name, listener: Listener<Name>): () => void {
    if (!EVENT_NAMES.includes(event)) {
      throw new TypeError(`Expected an event among ${EVENT_NAMES.join(', ')}, got '${event}'`)
    }
    const listeners = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, listeners)
    listeners.add(listener as Listener<EventName>)
    return () => {
      listeners.delete(listener as Listener<EventName>)
    }
  }

  /** Tells everybody. A listener that throws or rejects is reported and changes nothing. */
  emit<Name extends EventName>(event: Name, payload: EngineEvents[Name]): void {
    this.#publish(event, payload)
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        const result = listener(payload)
        if (isPromise(result)) result.then(undefined, error => this.#onListenerError(event, error))
      } catch (error) {
        this.#onListenerError(event, error)
      }
    }
  }

  /** Asks everybody, one after the other, waiting for each; the first error stops and is thrown. */
  async ask<Name extends EventName>(event: Name, payload: EngineEvents[Name]): Promise<void> {
    this.#publish(event, payload)
    for (const listener of this.#listeners.get(event) ?? []) await listener(payload)
  }

  /** Asks everybody without waiting; the first error thrown is passed on. A promise that rejects is reported. */
  askSync<Name extends EventName>(event: Name, payload: EngineEvents[Name]): void {
    this.#publish(event, payload)
    for (const listener of this.#listeners.get(event) ?? []) {
      const result = listener(payload)
      if (isPromise(result)) result.then(undefined, error => this.#onListenerError(event, error))
    }
  }

  /** Whether anybody listens, so that a step nobody asked for can be left out. */
  hasListeners(event: EventName): boolean {
    return (this.#listeners.get(event)?.size ?? 0) > 0
  }

  #publish<Name extends EventName>(event: Name, payload: EngineEvents[Name]): void {
    const target = this.#channels.get(event)
    if (target?.hasSubscribers) target.publish(payload)
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
