import { EngineClosedError } from '../../src/errors.js'
import { type Booking, TRIES } from './booking.js'
import type { SimulatedClock } from './clock.js'
import { Pace } from './pace.js'

/** The checkouts that wait, as they must stand by the rules: in order of arrival. */
export class Line {
  readonly waiting: Booking[] = []
  /** Those who have joined since the gate was looked at for them. */
  readonly joined: Booking[] = []
  readonly pace = new Pace()
  isClosed = false
  readonly #clock: SimulatedClock

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  /** Takes the place that its arrival gives it; once the pool is closed there is none. */
  join(booking: Booking): void {
    if (booking.state === 'gone') return
    if (this.isClosed) {
      this.leave(booking, EngineClosedError)
      return
    }
    const signal = booking.controller?.signal
    if (signal?.aborted) {
      this.leave(booking, signal.reason)
      return
    }
    booking.state = 'waiting'
    booking.isWatched = true
    let index = this.waiting.length
    while (index > 0 && (this.waiting[index - 1]?.number ?? 0) > booking.number) index -= 1
    this.waiting.splice(index, 0, booking)
    this.joined.push(booking)
  }

  /** It must be refused, with this error or one of this class. */
  leave(booking: Booking, expectedError: unknown): void {
    if (booking.state === 'gone') return
    this.#remove(booking)
    booking.state = 'gone'
    booking.expectedError = expectedError
  }

  /** Who is first, and will not wait any longer. */
  takeFirst(): Booking | undefined {
    return this.#take(0)
  }

  /** Who is first of those who take an idle client, and will not wait any longer. */
  takeFirstForIdle(): Booking | undefined {
    const index = this.waiting.findIndex(booking => !booking.wantsFresh)
    return index === -1 ? undefined : this.#take(index)
  }

  /** A client turned out to be dead: back in line, or refused after the last try. Whether that was it. */
  tryAgain(booking: Booking, error: unknown): boolean {
    if (booking.state === 'gone') return false
    booking.tries += 1
    if (booking.tries >= TRIES) this.leave(booking, error)
    else this.join(booking)
    return booking.tries >= TRIES
  }

  /** Nobody waits any longer. */
  close(): number {
    const count = this.waiting.length
    this.isClosed = true
    for (const booking of [...this.waiting]) this.leave(booking, EngineClosedError)
    return count
  }

  #take(index: number): Booking | undefined {
    const [booking] = this.waiting.splice(index, 1)
    if (booking) this.pace.served(this.#clock.now(), this.waiting.length === 0)
    return booking
  }

  #remove(booking: Booking): void {
    const index = this.waiting.indexOf(booking)
    if (index !== -1) this.waiting.splice(index, 1)
  }
}
