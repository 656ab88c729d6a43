import { inspect, isDeepStrictEqual } from 'node:util'
import type { PoolHooks } from '../../src/pool/contract.js'
import type { Booking } from './booking.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'
import { noteClose } from './closing.js'
import { type Fates, SimulatedError, verdictOf } from './fates.js'
import type { Announcement } from './gate.js'
import { offer } from './handout.js'

/** What listeners do to the pool that has just told them something. */
export interface Meddler {
  abort(booking: Booking): void
  ping(): void
}

/** What the pool tells its owner, held against the books. */
export function simulatedHooks(
  books: Books,
  fates: Fates,
  meddler: Meddler
): PoolHooks<SimulatedClient> {
  const meddle = () => {
    if (!books.isClosed && fates.listenerPings()) meddler.ping()
  }
  return {
    judge: (error, phase, client) => {
      const verdict = verdictOf(error)
      if (phase === 'ping' && client) notePingVerdict(books, client, verdict.scope)
      return verdict
    },
    checkout: client => noteCheckout(books, fates, meddler, client),
    checkin: client => {
      noteCheckin(books, client)
      meddle()
    },
    softInvalidate: client => {
      if (client.state !== 'lent' && client.state !== 'closed') {
        books.violate('hooks are told', `client ${client.number}, ${client.state}, is soft`)
      }
      client.isSoft = true
      books.took('soft invalidation')
    },
    detach: client => {
      books.took('detach')
      if (client.state !== 'lent') {
        books.violate('hooks are told', `client ${client.number}, ${client.state}, is detached`)
      }
      client.state = 'detached'
      client.isDetached = true
      books.remove(client)
    },
    generation: generation => {
      books.raiseGeneration(generation)
      meddle()
    },
    close: (client, reason) => {
      noteClose(books, client, reason)
      meddle()
      books.reviewJoined()
    },
    down: (error, isFull) => noteAnnouncement(books, { event: 'down', error, isFull }),
    up: (duration, wasFull) => noteAnnouncement(books, { event: 'up', duration, wasFull })
  }
}

function noteAnnouncement(books: Books, told: Announcement): void {
  const { announcement } = books.gate
  books.gate.announcement = undefined
  if (!isDeepStrictEqual(told, announcement)) {
    books.violate('hooks are told', `${inspect(told)}, by the books ${inspect(announcement)}`)
  }
}

function notePingVerdict(books: Books, client: SimulatedClient, scope: string): void {
  if (scope !== 'generation') books.took('ping failed: this client')
  else if (books.condemn(client.birth.generation)) books.took('ping failed: whole generation')
  else books.took('ping failed: late, of an old generation')
}

function noteCheckout(books: Books, fates: Fates, meddler: Meddler, client: SimulatedClient): void {
  const { stage } = client
  const booking = offer(books, client, 'lend')
  const outcome = fates.listener()
  const isCalledOff = outcome === 'aborts' || outcome === 'abortsAndThrows'
  if (isCalledOff && booking?.controller) callOff(books, meddler, booking)
  if (outcome === 'disconnect' || outcome === 'throws' || outcome === 'abortsAndThrows') {
    const failure = outcome === 'throws' ? 'statement' : 'disconnect'
    client.stage = 'refusedByListener'
    client.failure = new SimulatedError('thrown by a listener', failure, 'none')
    books.faults.add('listener threw')
    throw client.failure
  }
  if (booking?.state === 'gone') {
    // Nobody gets it, and it comes back unused, as alive as it was.
    books.trigger(client)
    books.counts.returns += 1
    client.state = 'returning'
    client.stage = stage === 'arrived' ? stage : 'verified'
    return
  }
  client.state = 'lent'
  books.counts.lent += 1
  if (booking === undefined) return
  booking.state = 'gone'
  booking.expectedClient = client
}

/** The signal is heard at once by a checkout that has taken time, and by another only if it comes to that. */
function callOff(books: Books, meddler: Meddler, booking: Booking): void {
  books.took('listener called the checkout off')
  if (booking.isWatched) meddler.abort(booking)
  else booking.controller?.abort(new SimulatedError('aborted', 'statement', 'none'))
}

function noteCheckin(books: Books, client: SimulatedClient | undefined): void {
  books.counts.checkins += 1
  if (client === undefined) return
  if (client.state !== 'returning') {
    books.violate('hooks are told', `client ${client.number}, ${client.state}, is checked in`)
  }
  if (client.stage === 'resetFailed' || client.brokenFor !== undefined) {
    books.violate('no unfit client is handed out', `client ${client.number} is kept as it is`)
  }
  books.putIdle(client)
}
