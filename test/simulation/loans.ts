import type { CloseReason } from '../../src/events.js'
import type { Pool } from '../../src/pool/pool.js'
import type { Lease } from '../../src/pool/slot.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'
import { assertFit, assertIdleOrder } from './handout.js'

/** What a borrower has in hand. */
export interface Loan {
  readonly lease: Lease<SimulatedClient>
  readonly client: SimulatedClient
  isReturned: boolean
  isDetached: boolean
  /** Taken without a checkout. */
  readonly isTried: boolean
}

/** Those who have a client, and what they do with it: good borrowers and bad ones. */
export class Loans {
  readonly lent: Loan[] = []
  readonly returned: Loan[] = []
  readonly #books: Books
  readonly #pool: Pool<SimulatedClient>

  constructor(books: Books, pool: Pool<SimulatedClient>) {
    this.#books = books
    this.#pool = pool
  }

  add(lease: Lease<SimulatedClient>, isTried = false): void {
    const { client } = lease
    this.lent.push({ lease, client, isReturned: false, isDetached: false, isTried })
  }

  tryCheckout(): void {
    const books = this.#books
    const lease = this.#pool.tryCheckout()
    if (lease === undefined) {
      books.took('try: nothing idle')
      if (books.free().length > 0) {
        books.violate('no lost wake-up', 'tryCheckout finds no idle client, and there is one')
      }
      return
    }
    const { client } = lease
    assertFit(books, client)
    assertIdleOrder(books, client)
    client.state = 'lent'
    books.took('try: lent')
    this.add(lease, true)
  }

  giveBack(loan: Loan, reason?: CloseReason): void {
    if (loan.isReturned) this.#books.took('return: second one ignored')
    else this.#noteReturn(loan, reason)
    this.#pool.checkin(loan.lease, reason, reason && new Error(reason))
  }

  /** What was taken without a checkout goes back unused. */
  putBack(loan: Loan): void {
    const books = this.#books
    const { client } = loan
    loan.isReturned = true
    this.lent.splice(this.lent.indexOf(loan), 1)
    this.returned.push(loan)
    if (client.state === 'lent') {
      books.took('put back')
      books.trigger(client)
      if (this.#isFit(client)) books.putIdle(client)
      else client.state = 'returning'
      client.stage = 'putBack'
    }
    this.#pool.putBack(loan.lease)
  }

  giveAllBack(): void {
    for (const loan of [...this.lent]) this.giveBack(loan)
  }

  detach(loan: Loan): void {
    loan.isDetached ||= loan.client.state === 'lent' && !loan.isReturned
    this.#pool.detach(loan.lease)
  }

  soften(loan: Loan): void {
    this.#pool.invalidateSoftly(loan.lease, new Error('softly'))
  }

  #isFit({ birth, isSoft, lost }: SimulatedClient): boolean {
    const { clock, generation, isClosed } = this.#books
    const isOld = birth.generation !== generation || clock.now() > birth.expiresAt
    return lost === undefined && !isSoft && !isOld && !isClosed
  }

  #noteReturn(loan: Loan, reason: CloseReason | undefined): void {
    const books = this.#books
    const { client } = loan
    loan.isReturned = true
    this.lent.splice(this.lent.indexOf(loan), 1)
    this.returned.push(loan)
    if (loan.isDetached) return
    books.counts.returns += 1
    if (client.state !== 'lent') {
      books.took('return: closed by force before')
      return
    }
    if (reason) books.faults.add('returned with an error')
    books.trigger(client)
    client.state = 'returning'
    client.stage = 'returned'
    client.brokenFor = reason
  }
}
