import { createHash } from 'node:crypto'
import type { RowShape } from './pg-result.js'
import type { Wire } from './wire.js'

/** How often a name may be missing on the server before nothing is prepared any more. */
const MAX_MISSING = 3
/** Texts seen once, as many times the texts that may be prepared. */
const CANDIDATES = 4

interface Named {
  readonly name: string
  usedAt: number
}

/**
 * Which texts an engine has prepared: those that came back, at most `statement_cache_size`. A name is made of its text,
 * so that it means the same to every process behind one pooler.
 */
export class StatementNames {
  readonly #size: number
  readonly #onGivenUp: (error: Error) => void
  readonly #named = new Map<string, Named>()
  readonly #names = new Set<string>()
  #seenOnce = new Set<string>()
  #uses = 0
  #missing = 0
  #isGivenUp = false

  /** `onGivenUp` hears once why nothing is prepared any more: a pooler gives each transaction another session. */
  constructor(size: number, onGivenUp: (error: Error) => void) {
    this.#size = size
    this.#onGivenUp = onGivenUp
  }

  /** The name to prepare a text under; none for one that was not seen before. */
  nameOf(text: string): string | undefined {
    if (this.#size === 0 || this.#isGivenUp) return undefined
    this.#uses += 1
    const known = this.#named.get(text)
    if (known !== undefined) {
      known.usedAt = this.#uses
      return known.name
    }
    return this.#isSeenAgain(text) ? this.#add(text) : undefined
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  get limit(): number {
    return this.#size
  }

  /** The session did not have a name that was prepared on it, or (`isCertain`) had one that nobody has prepared on it. */
  notKept(error: Error, isCertain: boolean): void {
    this.#missing += 1
    if (this.#isGivenUp || (!isCertain && this.#missing < MAX_MISSING)) return
    this.#isGivenUp = true
    this.#onGivenUp(error)
  }

  #isSeenAgain(text: string): boolean {
    if (this.#seenOnce.delete(text)) return true
    if (this.#seenOnce.size >= CANDIDATES * this.#size) this.#seenOnce = new Set()
    this.#seenOnce.add(text)
    return false
  }

  #add(text: string): string {
    if (this.#named.size >= this.#size) this.#dropOldest()
    const hash = createHash('sha256').update(text).digest('base64url')
    const name = `fastify_pg_${hash}`
    this.#named.set(text, { name, usedAt: this.#uses })
    this.#names.add(name)
    return name
  }

  #dropOldest(): void {
    let oldest: [string, Named] | undefined
    for (const entry of this.#named) {
      if (oldest === undefined || entry[1].usedAt < oldest[1].usedAt) oldest = entry
    }
    if (oldest === undefined) return
    this.#named.delete(oldest[0])
    this.#names.delete(oldest[1].name)
  }
}

/** SQLSTATE and the server's own function: a function of the application may raise the same state. */
const CHANGED = ['0A000', 'RevalidateCachedQuery']
const MISSING = ['26000', 'FetchPreparedStatement']
const TAKEN = ['42P05', 'StorePreparedStatement']

/** Whether an error is about how a statement was prepared, and not about what it would have done. */
export function isOfPreparation(error: unknown): error is Error {
  return error instanceof Error && [CHANGED, MISSING, TAKEN].some(kind => isOf(kind, error))
}

/** invalid_text_representation and _binary_, numeric_value_out_of_range, invalid_datetime_format, datetime_field_overflow. */
const MISFITS: ReadonlySet<unknown> = new Set(['22P02', '22P03', '22003', '22007', '22008'])

/**
 * The value may be right, and its parameter of a type that the column does not have any more: a statement keeps those it
 * was prepared with (https://www.postgresql.org/docs/current/sql-prepare.html).
 */
function isOfValue(error: Error): boolean {
  return MISFITS.has(Reflect.get(error, 'code'))
}

function isOf([code, routine]: readonly string[], error: Error): boolean {
  return Reflect.get(error, 'code') === code && Reflect.get(error, 'routine') === routine
}

/** What one session has prepared of its own accord. */
export class PreparedStatements {
  readonly #names: StatementNames
  readonly #prepared = new Set<string>()
  /** To be closed before anything else is prepared: the server does not mind if it does not know them. */
  readonly #toClose = new Set<string>()
  /** Those among them that the server does not have any more, or not as they were. */
  readonly #lost = new Set<string>()
  /** What their rows consist of: as long as a statement is prepared, the server does not let that change. */
  readonly #shapes = new Map<string, RowShape>()

  constructor(names: StatementNames) {
    this.#names = names
  }

  /** The name to use for a text on this session now; none while it is being prepared, which may fail. */
  assign(text: string, wire: Wire): string | undefined {
    const name = this.#names.nameOf(text)
    if (name === undefined || wire.submittedNamedStatements[name] !== undefined) return undefined
    if (wire.parsedStatements[name] !== undefined) return name
    // Parsed anew, it may return something else.
    this.#shapes.delete(name)
    if (this.#prepared.size >= this.#names.limit) this.#dropUnknown()
    this.#prepared.add(name)
    return name
  }

  /** What the rows of a prepared statement consist of, and that is nothing if it has none; `undefined` if not known. */
  shapeOf(name: string | undefined): RowShape | undefined {
    return name === undefined ? undefined : this.#shapes.get(name)
  }

  describedAs(name: string | undefined, shape: RowShape): void {
    if (name !== undefined) this.#shapes.set(name, shape)
  }

  /** Whether the server does not have it any more, or not as it was, and it has not been prepared anew. */
  isLost(name: string): boolean {
    return this.#lost.has(name)
  }

  /** Writes that the server is to forget what is not used any more. */
  close(wire: Wire): void {
    if (this.#toClose.size === 0) return
    for (const name of this.#toClose) {
      wire.close({ type: 'S', name })
      delete wire.parsedStatements[name]
      this.#forget(name)
    }
    this.#toClose.clear()
    this.#lost.clear()
  }

  /** Whether the error is about the statement's preparation: it was not executed, and may be sent as it is. */
  isStale(error: Error, name: string, wire: Wire): boolean {
    if (!this.#prepared.has(name)) return false
    if (isOfValue(error)) this.#prepareAnew(name, wire)
    if (!isOfPreparation(error)) return false
    const isGone = !isOf(CHANGED, error)
    if (isGone) this.#names.notKept(error, isOf(TAKEN, error))
    // DISCARD ALL and DEALLOCATE ALL take all of them.
    for (const lost of isGone ? this.#prepared : [name]) {
      this.#lost.add(lost)
      this.#prepareAnew(lost, wire)
    }
    return true
  }

  #prepareAnew(name: string, wire: Wire): void {
    this.#toClose.add(name)
    this.#shapes.delete(name)
    delete wire.parsedStatements[name]
    delete wire.submittedNamedStatements[name]
  }

  #forget(name: string): void {
    this.#prepared.delete(name)
    this.#shapes.delete(name)
  }

  #dropUnknown(): void {
    for (const name of this.#prepared) if (!this.#names.has(name)) this.#toClose.add(name)
  }
}
