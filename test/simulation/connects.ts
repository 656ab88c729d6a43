import type { Books } from './books.js'
import { type Birth, type ClientServer, SimulatedClient } from './client.js'
import { type Fates, SimulatedError } from './fates.js'
import type { UnderWay } from './under-way.js'

/** More connects in one step than any pool here may have clients: it would never end. */
const RUNAWAY = 1000

/** A connect that has not ended. */
interface Pending {
  readonly signal: AbortSignal
  reject(reason: unknown): void
}

/** Opens simulated clients, and holds against the books that the pool may have them opened. */
export class Connects {
  readonly #books: Books
  readonly #fates: Fates
  readonly #underWay: UnderWay
  readonly #server: ClientServer
  readonly #pending = new Set<Pending>()
  #jitter: number | undefined
  #clients = 0
  #runaway = 0

  constructor(books: Books, fates: Fates, underWay: UnderWay, server: ClientServer) {
    this.#books = books
    this.#fates = fates
    this.#underWay = underWay
    this.#server = server
  }

  /** The pool draws a number for each client, just before it has it opened. */
  drawJitter(value: number): number {
    this.#jitter = value
    return value
  }

  beginStep(): void {
    this.#runaway = 0
  }

  open(onLost: (error: unknown) => void, signal: AbortSignal): Promise<SimulatedClient> {
    const books = this.#books
    this.#runaway += 1
    if (this.#runaway > RUNAWAY) throw new Error('connects without end')
    const isReplacement = this.#noteOpen()
    const birth = {
      generation: books.generation,
      expiresAt: books.clock.now() + this.#drawnAge(),
      isReplacement
    }
    const connect = this.#connect(birth, onLost, signal)
    connect.then(
      client => this.#noteOpened(client),
      error => this.#noteFailed(isReplacement, error)
    )
    return connect
  }

  /** The pool is closed, and must have said so to each connect; the connector obeys. */
  callOff(): void {
    for (const { reject, signal } of this.#pending) {
      if (!signal.aborted)
        this.#books.violate('close comes to an end', 'a connect is not called off')
      this.#books.took('close: connect called off')
      reject(signal.reason)
    }
    this.#pending.clear()
  }

  #drawnAge(): number {
    const { limits, options } = this.#books
    if (this.#jitter === undefined) {
      this.#books.violate('each client has an age limit of its own', 'nothing was drawn for it')
    }
    const age = limits.maxAge * (1 - options.pool.recycleJitter * (this.#jitter ?? 0))
    this.#jitter = undefined
    return age
  }

  #connect(
    birth: Birth,
    onLost: (error: unknown) => void,
    signal: AbortSignal
  ): Promise<SimulatedClient> {
    const books = this.#books
    const { outcome, delay } = this.#fates.connect()
    return new Promise((resolve, reject) => {
      const pending = { reject, signal }
      this.#pending.add(pending)
      const end = () => {
        if (!this.#pending.delete(pending)) return
        if (outcome === 'hangs' || outcome === 'fails') {
          books.faults.add(`connect ${outcome}`)
          reject(new SimulatedError(`connect ${outcome}`, 'unavailable', 'none'))
          return
        }
        this.#clients += 1
        const now = books.clock.now()
        const client = new SimulatedClient(this.#server, this.#clients, birth, now, onLost)
        if (outcome === 'dead') {
          books.faults.add('dead on arrival')
          client.lose(new SimulatedError('dead on arrival', 'disconnect', 'client'))
        }
        resolve(client)
      }
      this.#underWay.add(outcome === 'hangs' ? books.options.connectTimeout : delay, end)
    })
  }

  /** The pool opens a client; whether nobody waits for it. */
  #noteOpen(): boolean {
    const books = this.#books
    const { line, newcomer } = books
    if (newcomer) {
      books.newcomer = undefined
      books.took('admit: one is opened for it')
      line.join(newcomer)
    }
    const isReplacement = books.connecting >= line.waiting.length
    books.took(isReplacement ? 'connect: replacement' : 'connect: for a waiter')
    if (books.isClosed) books.violate('a closed pool stays closed', 'it opens a client')
    if (books.size >= books.limits.limit) {
      books.violate('the limit is kept', `one more than ${books.size}`)
    }
    if (books.replacementsDue > 0) books.replacementsDue -= 1
    books.connecting += 1
    books.counts.connects += 1
    return isReplacement
  }

  #noteOpened(client: SimulatedClient): void {
    const books = this.#books
    books.trigger(client)
    books.connecting -= 1
    books.open.push(client)
    books.putIdle(client)
    client.stage = 'arrived'
  }

  /** The failure is the first waiter's, unless nobody waited for this client. */
  #noteFailed(isReplacement: boolean, error: unknown): void {
    const books = this.#books
    books.trigger()
    books.connecting -= 1
    books.counts.connectFailures += 1
    if (isReplacement) {
      books.took('connect failed: replacement')
      return
    }
    const first = books.line.takeFirst()
    if (first === undefined) {
      books.took('connect failed: nobody waits')
      return
    }
    books.took('connect failed: first waiter refused')
    books.line.leave(first, error)
    if (first.doubted !== undefined && books.condemn(first.doubted)) {
      books.took('doubt: confirmed by a failed connect')
    }
  }
}
