import type { Booking } from './booking.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'

type Act = 'lend' | 'ping'

/** The pool is about to give a client to somebody, or to verify it for that: whom it must be for. */
export function offer(books: Books, client: SimulatedClient, act: Act): Booking | undefined {
  assertFit(books, client)
  assertVerified(books, client, act)
  const booking = claimantOf(books, client, act)
  if (booking === undefined) {
    books.violate('first come, first served', `client ${client.number} goes to nobody`)
    return undefined
  }
  booking.state = 'offered'
  client.stage = 'none'
  client.claimant = booking
  return booking
}

/** Nobody gets a client that shows that it is not to be used. */
export function assertFit(books: Books, client: SimulatedClient): void {
  const { birth, number, stage, state } = client
  const refuse = (why: string) =>
    books.violate('no unfit client is handed out', `client ${number} ${why}`)
  if (state === 'lent' || state === 'verifying') {
    books.violate('a client has one borrower', `client ${number} is ${state}`)
  } else if (state !== 'idle') refuse(`is ${state}`)
  if (client.lost !== undefined) refuse('is lost')
  if (birth.generation !== books.generation) refuse(`is of generation ${birth.generation}`)
  if (client.isSoft) refuse('was invalidated softly')
  if (stage !== 'arrived' && books.clock.now() > birth.expiresAt) refuse('is too old')
  if (books.isClosed) books.violate('a closed pool stays closed', `client ${number} is handed out`)
}

/** Idle clients are taken from the end that the option says. */
export function assertIdleOrder(books: Books, client: SimulatedClient): void {
  const { isLifo } = books.options.pool
  for (const other of books.free()) {
    if (other === client) continue
    if (other.idleOrder > client.idleOrder === isLifo) {
      const detail = `client ${client.number} before ${other.number}`
      books.violate('idle clients are lent in the order of the option', detail)
    }
  }
}

function assertVerified(books: Books, client: SimulatedClient, act: Act): void {
  const { isPrePing, window } = books.options.pool
  const { isClosed } = books.gate
  const isJustVerified = client.stage === 'verified' && client.claimant?.state === 'offered'
  const isKnownAlive = client.stage === 'arrived' || isJustVerified
  const isSilent = isPrePing && books.clock.now() - client.heardAt >= window
  const isDue = !isKnownAlive && (isSilent || isClosed)
  if (isDue && act === 'lend') {
    books.violate('nobody is handed an unverified client', `client ${client.number}`)
  }
  if (isDue && act === 'ping' && isClosed) books.took('gate: idle client verified beside it')
  if (!isDue && act === 'ping') books.violate('no needless ping', `client ${client.number}`)
}

function claimantOf(books: Books, client: SimulatedClient, act: Act): Booking | undefined {
  const { claimant, stage } = client
  if (stage === 'verified' && claimant?.state === 'offered') {
    books.took('ping ok: lent')
    return claimant
  }
  if (books.newcomer) return claimOfNewcomer(books, client, act)
  if (stage === 'none') return claimOfWaiter(books, client)
  const first = books.line.takeFirst()
  if (stage === 'arrived') {
    books.took('connect ok: lent to a waiter')
    if (first?.doubted !== undefined) books.took('doubt: dispelled by a fresh client')
  } else if (act === 'lend') books.took('supply: lent to a waiter')
  else books.took('supply: pinged for a waiter')
  return first
}

/** An idle client is for the first who wants no fresh one. */
function claimOfWaiter(books: Books, client: SimulatedClient): Booking | undefined {
  const first = books.line.takeFirstForIdle()
  assertIdleOrder(books, client)
  books.took('serve: idle client for a waiter')
  if (first) return first
  const fresh = books.line.takeFirst()
  if (fresh) {
    books.violate('who wants a fresh client gets no idle one', `checkout ${fresh.number}`)
  }
  return fresh
}

/** Who arrives takes an idle client only if nobody waits who would have taken it. */
function claimOfNewcomer(books: Books, client: SimulatedClient, act: Act): Booking | undefined {
  const { line, newcomer } = books
  const overtaken = line.waiting.find(booking => !booking.wantsFresh)
  if (overtaken) {
    books.violate(
      'first come, first served',
      `${newcomer?.number} is served before ${overtaken.number}`
    )
  }
  assertIdleOrder(books, client)
  books.newcomer = undefined
  books.took(act === 'lend' ? 'admit: lent at once' : 'admit: pinged first')
  return newcomer
}
