import { Pool } from '../../src/pool/pool.js'
import { Books } from './books.js'
import { Checkouts } from './checkouts.js'
import type { SimulatedClient } from './client.js'
import { SimulatedClock } from './clock.js'
import { Connects } from './connects.js'
import { Fates, SimulatedError } from './fates.js'
import { simulatedHooks } from './hooks.js'
import { Loans } from './loans.js'
import type { WorldOptions } from './options.js'
import { Random } from './random.js'
import { Sessions } from './sessions.js'
import type { Tally } from './transitions.js'
import { UnderWay } from './under-way.js'

/** Two idle clients of a generation lost within this time are its end: `design.md` §9. */
const IDLE_LOSSES_WITHIN = 1000

/** A real pool, and all around it simulated: time, server, chance and borrowers. */
export class World {
  readonly books: Books
  readonly clock = new SimulatedClock()
  readonly fates: Fates
  readonly underWay = new UnderWay(this.clock)
  readonly connects: Connects
  readonly pool: Pool<SimulatedClient>
  readonly checkouts: Checkouts
  readonly loans: Loans
  /** Each call of `close`. */
  readonly closings: { isDone: boolean }[] = []
  #closeTimeout = 0
  #lastIdleLoss = { at: Number.NEGATIVE_INFINITY, generation: -1 }

  constructor(options: WorldOptions, tally: Tally) {
    const books = new Books(options, this.clock, tally)
    const random = new Random(options.seed)
    this.books = books
    this.fates = new Fates(options.seed, options.faults)
    const sessions = new Sessions(books, this.fates, this.underWay)
    this.connects = new Connects(books, this.fates, this.underWay, sessions)
    this.pool = new Pool<SimulatedClient>(
      options.pool,
      (onLost, signal) => this.connects.open(onLost, signal),
      this.clock,
      () => this.connects.draw(random.next()),
      simulatedHooks(books, this.fates, {
        abort: booking => this.checkouts.abort(booking),
        ping: () => {
          const { isInTimer } = books
          books.took('listener had the pool checked')
          books.isInTimer = false
          this.loans.tryCheckout()
          books.isInTimer = isInTimer
        }
      })
    )
    this.loans = new Loans(books, this.pool)
    this.checkouts = new Checkouts(books, this.pool, this.loans)
  }

  /** Whether anything is lent, awaited or not over yet, the server's absence included. */
  get isBusy(): boolean {
    const { books, checkouts, loans } = this
    if (books.gate.isClosed && !books.isClosed) return true
    const pending = checkouts.pending.length + loans.lent.length + books.connecting
    return pending + books.closesUnderWay > 0 || books.open.length > books.count('idle')
  }

  kill(client: SimulatedClient): void {
    const { books } = this
    const error = new SimulatedError('killed', 'disconnect', this.fates.killScope())
    books.faults.add(`killed while ${client.state}`)
    if (client.state === 'idle' && client.stage === 'none') {
      if (error.verdict.scope === 'generation') this.#noteIdleLoss(client)
      else books.took('idle loss: this session only')
    } else books.took('loss in use: noted')
    client.lose(error)
  }

  invalidate(generation: number, reason: 'generation' | 'user'): void {
    const { books } = this
    books.faults.add('invalidated')
    const isCurrent = books.condemn(generation, reason)
    if (!isCurrent) books.took('invalidate: late failure ignored')
    const error = new SimulatedError('invalidated', 'disconnect', 'generation')
    if (this.pool.invalidate(error, generation, reason) !== isCurrent) {
      books.violate('a generation is invalidated once per incident', `told of ${generation}`)
    }
  }

  /** Closes the pool; again, if it is closed already. */
  close(timeout = this.#closeTimeout): void {
    const { books, clock } = this
    if (books.isClosed) books.took('close: called again')
    this.#closeTimeout = timeout
    for (let count = books.line.close(); count > 0; count -= 1) {
      books.took('close: waiting checkout refused')
    }
    books.forcedAt ??= clock.now() + timeout
    const closing = { isDone: false }
    this.closings.push(closing)
    void this.pool.close(timeout).then(() => {
      closing.isDone = true
    })
    this.connects.callOff()
  }

  #noteIdleLoss(client: SimulatedClient): void {
    const { books, clock } = this
    const last = this.#lastIdleLoss
    const { generation } = client.birth
    const isSecond = last.generation === generation && clock.now() - last.at <= IDLE_LOSSES_WITHIN
    this.#lastIdleLoss = { at: clock.now(), generation }
    if (isSecond && books.condemn(generation)) books.took('idle loss: second, whole generation')
    else books.took('idle loss: single')
  }
}
