import { EngineClosedError } from '../../src/errors.js'
import type { CloseReason } from '../../src/events.js'
import { PingTimeoutError } from '../../src/session-errors.js'
import { type Booking, TRIES } from './booking.js'
import type { Books } from './books.js'
import type { SimulatedClient } from './client.js'
import { verdictOf } from './fates.js'
import type { Transition } from './transitions.js'

/** The pool says that it closes a client: whether it may, and what follows for who was to get it. */
export function noteClose(books: Books, client: SimulatedClient, reason: CloseReason): void {
  if (client.state === 'closing' || client.state === 'closed') {
    books.violate('a client is closed exactly once', `client ${client.number} again: ${reason}`)
  } else if (!isJustified(books, client, reason)) {
    const detail = `client ${client.number}, ${client.state}: ${reason}`
    books.violate('a client is closed for cause only', detail)
  }
  const transition = transitionOf(books, client, reason)
  if (transition) books.took(transition)
  books.isClosedByForce ||= transition === 'close: by force'
  books.remove(client)
  if (reason === 'recycle' && isReplacedAtOnce(books, client)) books.replacementsDue += 1
  client.state = 'closing'
  noteConsequence(books, client, reason)
}

/** A ping has ended whose client was closed by force meanwhile. */
export function notePingOfClosed(books: Books, booking: Booking, error: unknown): void {
  const isLast = error !== undefined && booking.tries + 1 >= TRIES
  const isOwn = error !== undefined && verdictOf(error).failure !== 'disconnect'
  books.line.leave(booking, isLast || isOwn ? error : EngineClosedError)
}

function isJustified(books: Books, client: SimulatedClient, reason: CloseReason): boolean {
  const { birth, stage, state } = client
  const now = books.clock.now()
  if (stage === 'returned' && client.brokenFor === reason) return true
  const isCondemned = books.condemned === birth.generation
  switch (reason) {
    case 'error':
      return client.lost !== undefined || stage === 'refusedByListener'
    case 'generation':
      return birth.generation < books.generation || isCondemned
    case 'user':
      return isCondemned && books.condemnedFor === 'user'
    case 'soft':
      return client.isSoft
    case 'recycle':
      return stage !== 'arrived' && now > birth.expiresAt
    case 'overflow':
      return (
        (state === 'idle' || (state === 'returning' && books.options.pool.isNullPool)) &&
        books.size > books.limits.keep &&
        now - client.idleSince >= books.limits.linger
      )
    case 'ping':
      return stage === 'pingFailed'
    case 'reset':
      return stage === 'resetFailed'
    case 'detach':
      return state === 'detached'
    case 'close': {
      const isInUse = state === 'lent' || state === 'verifying' || state === 'resetting'
      return books.isClosed && (!isInUse || now >= (books.forcedAt ?? Infinity))
    }
  }
}

function isReplacedAtOnce(books: Books, { stage }: SimulatedClient): boolean {
  if (books.size >= books.limits.keep) return false
  return stage === 'none' ? books.isInTimer : stage === 'returned' || stage === 'resetDone'
}

function transitionOf(
  books: Books,
  client: SimulatedClient,
  reason: CloseReason
): Transition | undefined {
  const { stage, state } = client
  if (reason === 'detach') return 'return: detached'
  if (reason === 'overflow') {
    return books.limits.linger === 0
      ? 'overflow: closed at once'
      : 'overflow: closed after lingering'
  }
  if (stage === 'putBack') return 'put back: given up'
  if (stage === 'returned') return transitionOfReturn(client, reason)
  if (stage === 'resetFailed') return 'reset: failed'
  if (stage === 'resetDone') return client.lost ? 'reset: client lost meanwhile' : undefined
  if (stage === 'arrived')
    return reason === 'generation' ? 'stale generation on arrival' : undefined
  if (stage === 'verified' && client.claimant?.state === 'offered') {
    if (reason === 'error') return 'ping ok: client lost meanwhile'
    if (reason === 'recycle') return 'ping ok: too old meanwhile'
    return reason === 'close'
      ? 'ping ok: pool closed meanwhile'
      : 'ping ok: generation invalidated meanwhile'
  }
  if (stage !== 'none') return undefined
  if (reason === 'close') return state === 'idle' ? 'close: idle client closed' : 'close: by force'
  if (reason === 'recycle') return books.isInTimer ? 'recycle: by the sweep' : 'recycle: at take'
  return reason === 'generation' || reason === 'user' ? 'invalidate: idle client closed' : undefined
}

function transitionOfReturn(client: SimulatedClient, reason: CloseReason): Transition | undefined {
  if (client.brokenFor !== undefined) return 'return: with a reason'
  if (reason === 'error') return 'return: lost'
  if (reason === 'generation') return 'return: old generation'
  if (reason === 'soft') return 'return: soft'
  if (reason === 'recycle') return 'return: too old'
  return 'return: pool closed'
}

function noteConsequence(books: Books, client: SimulatedClient, reason: CloseReason): void {
  const { claimant, stage } = client
  const { line } = books
  if (stage === 'arrived') noteDeadOnArrival(books, client, reason)
  else if (claimant === undefined) return
  else if (stage === 'pingFailed') notePingFailed(books, client, claimant)
  else if (stage === 'refusedByListener') {
    if (verdictOf(client.failure).failure === 'disconnect') {
      books.took('listener threw a disconnect: next client')
    } else {
      books.took('listener threw: refused')
      line.leave(claimant, client.failure)
    }
    line.tryAgain(claimant, client.failure)
  } else if (stage === 'verified') {
    if (books.isClosed && claimant.state === 'offered')
      books.took('close: pinging checkout refused')
    if (reason === 'error') line.tryAgain(claimant, client.lost)
    else line.join(claimant)
  }
}

/** It counts as a try of the one who would have got it. */
function noteDeadOnArrival(books: Books, client: SimulatedClient, reason: CloseReason): void {
  if (reason !== 'error') return
  const first = client.birth.purpose === 'waiter' ? books.line.takeFirst() : undefined
  if (first === undefined) books.took('dead on arrival: nobody to charge')
  else if (books.line.tryAgain(first, client.lost)) {
    books.took('dead on arrival: third try, refused')
  } else books.took('dead on arrival: first waiter tries again')
}

function notePingFailed(books: Books, client: SimulatedClient, claimant: Booking): void {
  const { failure } = client
  if (claimant.state === 'gone') {
    books.took('ping failed: borrower has left')
    return
  }
  if (failure instanceof PingTimeoutError) claimant.doubted = client.birth.generation
  if (verdictOf(failure).failure !== 'disconnect') {
    books.took('ping failed: no disconnect, refused')
    books.line.leave(claimant, failure)
  } else if (books.line.tryAgain(claimant, failure)) books.took('ping failed: third try, refused')
}
