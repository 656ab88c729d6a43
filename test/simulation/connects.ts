import type { Books } from './books.js'
import { type Birth, type ClientServer, type Purpose, SimulatedClient } from './client.js'
import { type Fates, type Refusal, SimulatedError, verdictOf } from './fates.js'
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

  /** The pool draws a number for each client, just before it has it opened, and for each pause of the prober. */
  draw(value: number): number {
    const books = this.#books
    const { clock, gate } = books
    if (!gate.isPauseDue) this.#jitter = value
    else {
      gate.drawPause(value, clock.now())
      books.reviewAll()
    }
    return value
  }

  beginStep(): void {
    this.#runaway = 0
  }

  open(onLost: (error: unknown) => void, signal: AbortSignal): Promise<SimulatedClient> {
    const books = this.#books
    this.#runaway += 1
    if (this.#runaway > RUNAWAY) throw new Error('connects without end')
    const purpose = this.#noteOpen()
    const birth = {
      generation: books.generation,
      expiresAt: books.clock.now() + this.#drawnAge(),
      purpose
    }
    const connect = this.#connect(birth, onLost, signal)
    connect.then(
      client => this.#noteOpened(client),
      error => this.#noteFailed(purpose, error)
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
    const { outcome, delay, refusal } = this.#fates.connect()
    return new Promise((resolve, reject) => {
      const pending = { reject, signal }
      this.#pending.add(pending)
      const end = () => {
        if (!this.#pending.delete(pending)) return
        if (outcome === 'hangs' || outcome === 'fails') {
          const what = outcome === 'hangs' ? 'unavailable' : refusal
          books.faults.add(`connect ${outcome}: ${what}`)
          reject(connectError(`connect ${outcome}: ${what}`, what))
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

  /** The pool opens a client: whether it may, and what for. */
  #noteOpen(): Purpose {
    const books = this.#books
    const { line, newcomer } = books
    if (newcomer) {
      books.newcomer = undefined
      books.took('admit: one is opened for it')
      line.join(newcomer)
      line.joined.length = 0
    }
    if (books.isClosed) books.violate('a closed pool stays closed', 'it opens a client')
    if (books.size >= books.limits.limit) {
      books.violate('the limit is kept', `one more than ${books.size}`)
    }
    const purpose = this.#purpose()
    books.connecting += 1
    books.counts.connects += 1
    return purpose
  }

  #purpose(): Purpose {
    const books = this.#books
    const { clock, connecting, gate, line } = books
    if (gate.isClosed) {
      if (!books.isInTimer || !gate.isPausing || clock.now() < gate.nextProbeAt) {
        books.violate('nobody connects but the prober', `probing: ${gate.isProbing}`)
      }
      books.took('gate: probe')
      gate.probe()
      return 'probe'
    }
    if (connecting >= gate.allowance) {
      books.violate('few connect at once', `${connecting + 1}, not ${gate.allowance}`)
    }
    const isReplacement = connecting >= line.waiting.length
    books.took(isReplacement ? 'connect: replacement' : 'connect: for a waiter')
    if (books.replacementsDue > 0) books.replacementsDue -= 1
    return isReplacement ? 'replacement' : 'waiter'
  }

  #noteOpened(client: SimulatedClient): void {
    const books = this.#books
    const { gate, limits, line } = books
    books.trigger(client)
    books.connecting -= 1
    books.open.push(client)
    books.putIdle(client)
    client.stage = 'arrived'
    if (client.birth.purpose === 'probe') gate.isProbing = false
    if (gate.isClosed) books.took('gate: opened by a client')
    this.#noteSuccess(line.waiting.length > 1 && books.size < limits.limit)
  }

  /** Who is away or full closes the gate. Any other failure is the first waiter's, unless nobody waited for this client. */
  #noteFailed(purpose: Purpose, error: unknown): void {
    const books = this.#books
    const { gate, line } = books
    books.trigger()
    books.connecting -= 1
    books.counts.connectFailures += 1
    if (purpose === 'probe') gate.isProbing = false
    if (books.isClosed) return
    const { failure, isCutShort } = verdictOf(error)
    const isFull = failure === 'too_many_connections'
    const first = purpose === 'waiter' ? line.waiting[0] : undefined
    if (isCutShort && gate.cutShort()) books.took('gate: suspected, a connect was cut short')
    else if (isFull || failure === 'unavailable') this.#noteUnavailable(purpose, error, isFull)
    else this.#noteRefused(purpose, error)
    if (isFull || first?.doubted === undefined) return
    if (books.condemn(first.doubted)) books.took('doubt: confirmed by a failed connect')
  }

  #noteRefused(purpose: Purpose, error: unknown): void {
    const books = this.#books
    const { gate, line } = books
    const first = purpose === 'waiter' ? line.takeFirst() : undefined
    if (first) {
      books.took('connect failed: first waiter refused')
      line.leave(first, error)
    } else if (purpose === 'waiter') books.took('connect failed: nobody waits')
    else books.took('connect failed: nobody to blame')
    if (gate.isClosed) books.took('gate: opened by a refusal')
    this.#noteSuccess(line.waiting.length > 0)
  }

  #noteUnavailable(purpose: Purpose, error: unknown, isFull: boolean): void {
    const books = this.#books
    const { clock, gate } = books
    const wasFull = gate.isFull
    if (gate.fail(error, isFull, clock.now())) {
      books.took(isFull ? 'gate: closed, server full' : 'gate: closed, server away')
    } else {
      books.took(purpose === 'probe' ? 'gate: probe failed' : 'gate: straggler failed')
      if (wasFull !== isFull) books.took('gate: full or away, told anew')
    }
    // What is due now depends on the next probe, if it is planned only now.
    if (!gate.isPauseDue) books.reviewAll()
  }

  #noteSuccess(hasBacklog: boolean): void {
    const books = this.#books
    const { clock, gate } = books
    gate.succeed(hasBacklog, clock.now())
    if (gate.allowance < gate.fullAllowance) books.took('gate: opened slowly')
  }
}

function connectError(message: string, what: Refusal): SimulatedError {
  if (what === 'cut short') return new SimulatedError(message, 'unavailable', 'none', true)
  return new SimulatedError(message, what, 'none')
}
