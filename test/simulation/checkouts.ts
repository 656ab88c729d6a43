import { EngineClosedError, OverloadedError, PoolTimeoutError } from '../../src/errors.js'
import type { Pool } from '../../src/pool/pool.js'
import type { Lease } from '../../src/pool/slot.js'
import { Booking } from './booking.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'
import { SimulatedError } from './fates.js'
import type { Loans } from './loans.js'

/** A timer is set for a distance, and its sum with the time then may fall short of the moment that was meant. */
const ROUNDING = 1e-6

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
    const { gate, limits, line } = books
    const { maxWaiting, timeout } = books.options.pool
    const room = gate.isClosed ? 0 : limits.limit - books.size
    const waiting = line.waiting.length - books.connecting - room
    if (books.isClosed) {
      books.took('admit: refused, pool closed')
      line.leave(booking, EngineClosedError)
    } else if (booking.controller?.signal.aborted) {
      books.took('admit: refused, aborted before')
      line.leave(booking, booking.controller.signal.reason)
    } else if (gate.isClosed && timeout === 0) {
      books.took('admit: refused, server away')
      line.leave(booking, gate.failure)
    } else if (timeout === 0 && waiting >= 0) {
      books.took('admit: refused, timeout 0')
      line.leave(booking, PoolTimeoutError)
    } else if (waiting >= maxWaiting) {
      books.took('admit: refused, too many wait')
      line.leave(booking, OverloadedError)
    } else if (waiting >= 0 && this.#isTooLate(booking)) {
      books.took('admit: refused, too late by then')
      line.leave(booking, OverloadedError)
    } else {
      books.took('admit: waits for what comes')
      line.join(booking)
      books.reviewJoined()
    }
  }

  /** Whether those in front are served too slowly for it; where what has been seen leaves that open, the pool decides. */
  #isTooLate({ deadline }: Booking): boolean {
    const { clock, line } = this.#books
    const outlook = line.pace.outlook(line.waiting.length)
    if (outlook === undefined) return false
    const isSure = clock.now() + outlook.least > deadline
    const isPossible = clock.now() + outlook.most > deadline
    return isSure || (isPossible && this.#pool.status().waiting === line.waiting.length)
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
    const { state } = booking
    this.#noteSettled(booking)
    if (error instanceof PoolTimeoutError) books.counts.timeouts += 1
    if (state !== 'gone' && this.#isTimeUp(booking, error)) books.line.leave(booking, error)
    if (!booking.isExpected(error)) {
      books.violate('nobody is refused without cause', `checkout ${booking.number}: ${error}`)
    }
  }

  /** Whether its time is up, and it is told why: nothing was free, or the server is away. */
  #isTimeUp(booking: Booking, error: unknown): boolean {
    const books = this.#books
    const { clock, counts, gate } = books
    const now = clock.now() + ROUNDING
    const isOver = now >= booking.deadline
    if (error instanceof PoolTimeoutError) {
      if (!isOver || gate.isClosed) return false
      books.took(
        booking.state === 'waiting' ? 'deadline: while waiting' : 'deadline: while pinging'
      )
      return true
    }
    if (!gate.isClosed || error !== gate.failure) return false
    const isWaiting = booking.state === 'waiting' && !books.isSpared
    const isParked = isWaiting && now >= books.parkedUntil(booking)
    // Seen when it was looked at again, since those whose clients it hoped for have not given them back.
    if (isWaiting && !isParked && !isOver && booking.deadline < gate.nextProbeAt) {
      books.took('park: refused, too late for the next probe')
      return true
    }
    if (isParked && isOver) counts.ambiguous += 1
    else if (isOver) counts.timeouts += 1
    if (isParked) books.took('park: recovery_timeout over')
    else if (isOver) books.took('deadline: while the server is away')
    return isParked || isOver
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
