import type { SimulatedClient } from './client.js'

/**
 * Where a checkout must be by the rules.
 *
 * - `arriving`: its call has not returned
 * - `waiting`: in the line
 * - `offered`: a client is being verified for it
 * - `gone`: it has been lent a client, refused one, or has left
 */
export type BookingState = 'arriving' | 'waiting' | 'offered' | 'gone'

/** How many dead clients a checkout is offered before it is told so: `design.md` §5, 4. */
export const TRIES = 3

/** One checkout, as the world remembers it. */
export class Booking {
  /** Order of arrival. */
  readonly number: number
  readonly arrivedAt: number
  readonly deadline: number
  readonly controller: AbortController | undefined
  state: BookingState = 'arriving'
  tries = 0
  /** The generation of the client that last ran into its ping's timeout. */
  doubted: number | undefined
  /** What its promise must come to, once it is gone: this client, or this error, or one of this class. */
  expectedClient: SimulatedClient | undefined
  expectedError: unknown
  isSettled = false
  /** It has taken time: from then on its signal is heard. */
  isWatched = false

  constructor(
    number: number,
    arrivedAt: number,
    deadline: number,
    controller: AbortController | undefined
  ) {
    this.number = number
    this.arrivedAt = arrivedAt
    this.deadline = deadline
    this.controller = controller
  }

  /** Whether it is to be given no idle client: a silent one casts doubt on all, and the last try is not for an old one. */
  get wantsFresh(): boolean {
    return this.doubted !== undefined || this.tries === TRIES - 1
  }

  isExpected(error: unknown): boolean {
    const { expectedError } = this
    if (typeof expectedError === 'function') return error instanceof expectedError
    return error === expectedError
  }
}
