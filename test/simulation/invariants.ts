import { getEventListeners } from 'node:events'
import type { Booking } from './booking.js'
import type { World } from './world.js'

/** What holds at every moment, also between two steps of the same turn of the event loop. */
export function checkAlways({ books, pool }: World): void {
  const status = pool.status()
  const { keep, limit } = books.limits
  const idle = books.count('idle')
  const expected = [
    books.size,
    idle,
    books.open.length - idle,
    books.connecting,
    books.generation,
    Math.max(0, books.size - keep)
  ]
  const { size, checkedOut, connecting, waiting, generation, overflow } = status
  const actual = [size, status.idle, checkedOut, connecting, generation, overflow]
  if (actual.some((value, index) => value !== expected[index])) {
    const detail = `[size idle out connecting generation overflow] is ${actual}, by the books ${expected}`
    books.violate('slots are conserved', detail)
  }
  if (waiting !== books.line.waiting.length) {
    const detail = `${waiting} wait, by the books ${books.line.waiting.length}`
    books.violate('first come, first served', detail)
  }
  if (status.state !== books.gate.state) {
    books.violate('the gate is where it must be', `${status.state}, not ${books.gate.state}`)
  }
  if (size > limit) books.violate('the limit is kept', `${size} of ${limit}`)
}

/** What holds besides when everything that takes no time has happened. */
export function checkQuiet(world: World): void {
  const { books } = world
  books.trigger()
  checkAlways(world)
  checkWakeUps(world)
  checkClients(world)
  for (const booking of world.checkouts.pending) checkBooking(world, booking)
  for (const booking of world.checkouts.settled.splice(0)) checkListener(world, booking)
  checkTimers(world)
  if (books.isClosed) checkClosing(world)
  else checkGate(world)
  if (books.condemned !== -1) {
    const detail = `generation ${books.condemned} was to be invalidated, and was not`
    books.violate('a generation is invalidated once per incident', detail)
  }
}

/** What could serve a waiter, does. Only who wants a fresh client may be left waiting beside idle ones. */
function checkWakeUps({ books }: World): void {
  const { waiting } = books.line
  if (waiting.length === 0) return
  if (books.connecting < waiting.length && books.size < books.limits.limit) {
    const detail = `${waiting.length} wait, ${books.connecting} connect, and there is room`
    if (books.gate.allows(books.connecting)) books.violate('no lost wake-up', detail)
    else if (!books.gate.isClosed) books.took('gate: waits for its turn to connect')
  }
  if (books.count('idle') > 0 && waiting.some(booking => !booking.wantsFresh)) {
    books.violate('no lost wake-up', `${waiting.length} wait beside an idle client`)
  }
}

/** No idle client is one that ought to have been closed. */
function checkClients({ books, clock }: World): void {
  const now = clock.now()
  let isLingering = false
  for (const client of books.open) {
    if (client.state === 'returning') {
      books.violate('slots are conserved', `client ${client.number} came back, and is nowhere`)
    }
    if (client.state !== 'idle') continue
    const { birth, number } = client
    if (birth.generation !== books.generation) {
      books.violate('an invalidated generation is closed', `client ${number} is idle`)
    }
    if (client.lost !== undefined) {
      books.violate('no unfit client is handed out', `client ${number} is lost and kept`)
    }
    // Who became idle just now is found when time passes.
    if (now >= birth.expiresAt + 1 && now > client.idleSince) {
      books.violate('surplus idle clients go', `client ${number} is too old`)
    }
    isLingering ||= now < client.idleSince + books.limits.linger
  }
  const isAllIdle = books.open.length === books.count('idle') && books.connecting === 0
  if (isAllIdle && books.size > books.limits.keep && !isLingering) {
    const detail = `${books.size} are kept, not ${books.limits.keep}`
    books.violate('surplus idle clients go', detail)
  }
}

/** While the gate is closed there is a prober, at work or with a time for it; and it has told what it must. */
function checkGate({ books, clock }: World): void {
  const { announcement, isClosed, isPauseDue, isPausing, isProbing, nextProbeAt } = books.gate
  const isOverdue = isPausing && clock.now() > nextProbeAt
  if (isPauseDue || (isClosed && isPausing === isProbing) || isOverdue) {
    const detail = `pausing: ${isPausing} until ${nextProbeAt}, probing: ${isProbing}`
    books.violate('nobody connects but the prober', detail)
  }
  if (announcement) books.violate('hooks are told', `nothing of ${announcement.event}`)
}

function checkBooking({ books, clock }: World, booking: Booking): void {
  const { deadline, number, state } = booking
  const isParked = books.gate.isClosed && state === 'waiting' && !books.isSpared
  const until = books.parkedUntil(booking)
  if (isParked && clock.now() > until && books.sparedAt < until) {
    books.violate('nobody waits past recovery_timeout', `checkout ${number}, by ${until}`)
  }
  if (state === 'gone' || state === 'arriving') {
    books.violate('every checkout settles exactly once', `checkout ${number} is ${state}`)
  }
  // A deadline that was over when the checkout came is noticed as soon as time passes.
  if (clock.now() >= deadline && clock.now() > booking.arrivedAt) {
    books.violate('nobody waits past the deadline', `checkout ${number}, by ${deadline}`)
  }
}

/** One timer for each checkout that waits, one for the sweep, one for the prober, one for all who are parked, one for each close. */
function checkTimers({ books, checkouts, clock, closings }: World): void {
  const { isClosed, isPausing } = books.gate
  const own = books.isClosed ? 0 : 1 + (isPausing ? 1 : 0) + (isClosed ? 1 : 0)
  const expected = checkouts.pending.length + closings.filter(closing => !closing.isDone).length
  if (clock.poolTimers > expected + own) {
    books.violate(
      'no timer or listener is left',
      `${clock.poolTimers} timers, expected ${expected}`
    )
  }
}

/** `close` waits for what is in use, no longer than it may, and no longer than for that. */
function checkClosing({ books, clock, closings }: World): void {
  if (books.count('idle') > 0) books.violate('a closed pool stays closed', 'it has idle clients')
  const isForced = clock.now() >= (books.forcedAt ?? 0)
  if (clock.now() > (books.forcedAt ?? 0) && books.open.length > 0) {
    books.violate('close comes to an end', `${books.open.length} clients are open after force`)
  }
  const isOver = books.size === 0 && books.closesUnderWay === 0
  const isDone = closings.every(closing => closing.isDone)
  if (isOver && !isDone) books.violate('close comes to an end', 'nothing is left, and it waits')
  if (!isOver && !isForced && closings.some(closing => closing.isDone)) {
    books.violate('close comes to an end', `${books.size} clients are left, and it is done`)
  }
}

/** Nothing may be left that is told of an abort nobody waits for. */
function checkListener({ books }: World, { controller, number }: Booking): void {
  if (controller && getEventListeners(controller.signal, 'abort').length > 0) {
    books.violate('no timer or listener is left', `checkout ${number} listens to its signal`)
  }
}

/** When all is over: what the pool counted is what was seen. */
export function checkCounters({ books, pool }: World): void {
  const { counters } = pool.status()
  const { counts } = books
  const actual = { ...counters }
  const { ambiguous, connects, connectFailures, pings, pingFailures } = counts
  const surplus = counters.timeouts - counts.timeouts
  const timeouts = counts.timeouts + Math.min(Math.max(0, surplus), ambiguous)
  const expected = {
    checkouts: counts.lent,
    connects,
    connectFailures,
    pings,
    pingFailures,
    timeouts
  }
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    const detail = `${JSON.stringify(actual)}, seen ${JSON.stringify(expected)}`
    books.violate('counters are right', detail)
  }
  if (counts.checkins !== counts.returns) {
    books.violate('hooks are told', `${counts.returns} returns, ${counts.checkins} checkins`)
  }
}
