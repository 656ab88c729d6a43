import { EngineClosedError, OverloadedError, PoolTimeoutError } from '../../src/errors.js'
import type { Pool } from '../../src/pool/pool.js'
import type { Lease } from '../../src/pool/slot.js'
import { Booking } from './booking.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'
import { SimulatedError } from './fates.js'
import type { Loans } from './loans.js'

export interface CheckoutPlan {
  readonly deadline?: number | undefined
  readonly hasSignal?: boolean
  /** The signal is aborted already. */
  readonly isAborted?: boolean
}

/** Those who want a client: each call of `checkout`, and whether it comes to what it must. */
export class Checkouts {
  /** Those whose promise has not settled, in order of arrival. */
  readonly pending: Booking[] = []
  /** Those that have settled since they were looked at last. */
  readonly settled: Booking[] = []
  readonly #books: Books
  readonly #pool: Pool<SimulatedClient>
  readonly #loans: Loans
  #arrivals = 0

  constructor(books: Books, pool: Pool<SimulatedClient>, loans: Loans) {
    this.#books = books
    this.#pool = pool
    this.#loans = loans
  }

  checkout({ deadline, hasSignal, isAborted }: CheckoutPlan): void {
    const books = this.#books
    const { timeout } = books.options.pool
    const now = books.clock.now()
    const controller = hasSignal ? new AbortController() : undefined
    if (isAborted) controller?.abort(new SimulatedError('aborted', 'statement', 'none'))
    this.#arrivals += 1
    const latest = Math.min(timeout === 0 ? Infinity : now + timeout, deadline ?? Infinity)
    const booking = new Booking(this.#arrivals, now, latest, controller)
    this.pending.push(booking)
    books.newcomer = booking
    const promise = this.#pool.checkout({ deadline, signal: controller?.signal })
    if (books.newcomer === booking) this.#noteAdmitted(booking)
    books.newcomer = undefined
    promise.then(
      lease => this.#noteLent(booking, lease),
      error => this.#noteRefused(booking, error)
    )
  }

  abort(booking: Booking): void {
    const books = this.#books
    const reason = new SimulatedError('aborted', 'statement', 'none')
    if (booking.state === 'waiting') books.took('abort: while waiting')
    else if (booking.state === 'offered') books.took('abort: while pinging')
    else books.took('abort: too late')
    books.line.leave(booking, reason)
    booking.controller?.abort(reason)
  }

  /** The pool neither offered it a client nor opened one for it: it waits for somebody else's, or must be refused. */
  #noteAdmitted(booking: Booking): void {
    const books = this.#books
    const { line } = books
    const { maxWaiting, timeout } = books.options.pool
    const hasRoom = books.size < books.limits.limit
    const waiting = line.waiting.length - books.connecting
    if (books.isClosed) {
      books.took('admit: refused, pool closed')
      line.leave(booking, EngineClosedError)
    } else if (booking.controller?.signal.aborted) {
      books.took('admit: refused, aborted before')
      line.leave(booking, booking.controller.signal.reason)
    } else if (!hasRoom && timeout === 0 && waiting >= 0) {
      books.took('admit: refused, timeout 0')
      line.leave(booking, PoolTimeoutError)
    } else if (!hasRoom && timeout > 0 && waiting >= maxWaiting) {
      books.took('admit: refused, too many wait')
      line.leave(booking, OverloadedError)
    } else {
      books.took('admit: waits for what comes')
      line.join(booking)
    }
  }

  #noteLent(booking: Booking, lease: Lease<SimulatedClient>): void {
    this.#noteSettled(booking)
    const { client } = lease
    if (booking.expectedClient !== client || lease.generation !== client.birth.generation) {
      const expected = booking.expectedClient?.number
      const detail = `checkout ${booking.number} got ${client.number}, not ${expected}`
      this.#books.violate('first come, first served', detail)
    }
    this.#loans.add(lease)
  }

  #noteRefused(booking: Booking, error: unknown): void {
    const books = this.#books
    const { deadline, state } = booking
    this.#noteSettled(booking)
    if (error instanceof PoolTimeoutError) books.counts.timeouts += 1
    if (state !== 'gone' && error instanceof PoolTimeoutError && books.clock.now() >= deadline) {
      books.took(state === 'waiting' ? 'deadline: while waiting' : 'deadline: while pinging')
      books.line.leave(booking, error)
    }
    if (!booking.isExpected(error)) {
      books.violate('nobody is refused without cause', `checkout ${booking.number}: ${error}`)
    }
  }

  #noteSettled(booking: Booking): void {
    if (booking.isSettled) {
      this.#books.violate('every checkout settles exactly once', `checkout ${booking.number}`)
    }
    booking.isSettled = true
    this.pending.splice(this.pending.indexOf(booking), 1)
    this.settled.push(booking)
  }
}
