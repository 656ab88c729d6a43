import { checkCounters } from './invariants.js'
import type { Operation } from './operations.js'
import { advance, settle, step } from './step.js'
import type { World } from './world.js'

/** How many checkouts must succeed at once where there is no limit. */
const PLENTY = 8
/** More timers than are ever needed to bring a world to rest. */
const PATIENCE = 1000

/** The faults stop: everything comes to rest, the whole capacity is there again, and the pool shrinks to its size. */
export async function recover(world: World): Promise<void> {
  const { books, checkouts, clock, loans } = world
  const { keep, limit, linger } = books.limits
  world.fates.heal()
  if (!(await rest(world))) {
    const detail = `${checkouts.pending.length} checkouts and ${books.connecting} connects never end`
    books.violate('full capacity after the faults', detail)
  }
  const capacity = Math.min(limit, PLENTY)
  for (let n = 0; n < capacity; n += 1) checkouts.checkout({})
  await settle(world)
  if (loans.lent.length !== capacity) {
    books.violate('full capacity after the faults', `${loans.lent.length} of ${capacity}`)
  }
  if (capacity === limit) await oneMore(world, capacity)
  loans.giveAllBack()
  await advance(world, linger + 1)
  if (books.size > keep) {
    books.violate('surplus idle clients go', `${books.size} are kept, not ${keep}`)
  }
  books.trace?.(`${clock.now()} recovered`)
}

/** The pool is closed while it is in use; life goes on around it for a while. */
export async function closeInFlight(
  world: World,
  timeout: number,
  operations: Iterable<Operation>
): Promise<void> {
  world.connects.beginStep()
  world.books.trigger()
  world.close(timeout)
  for (const operation of operations) {
    await step(world, operation)
    if (world.books.violation) return
  }
}

/** Closes the pool, if nobody has, and sees to it that nothing is left of it. */
export async function end(world: World): Promise<void> {
  const { books, checkouts, clock } = world
  world.fates.heal()
  if (!books.isClosed) {
    books.trigger()
    world.close(1000)
  }
  await rest(world)
  if (!books.isClosedByForce) books.took('close: all came back')
  if (checkouts.pending.length > 0) {
    books.violate('every checkout settles exactly once', `${checkouts.pending.length} never do`)
  }
  if (books.size > 0 || books.closesUnderWay > 0 || !world.closings.every(({ isDone }) => isDone)) {
    books.violate('close comes to an end', `${books.size} clients are left`)
  }
  if (clock.poolTimers > 0) {
    books.violate('no timer or listener is left', `${clock.poolTimers} timers`)
  }
  checkCounters(world)
}

/** Beyond the limit nobody is lent anything, until something comes back. */
async function oneMore(world: World, capacity: number): Promise<void> {
  const { books, checkouts } = world
  const { lent } = world.loans
  checkouts.checkout({})
  await settle(world)
  if (lent.length !== capacity) books.violate('the limit is kept', `${lent.length} are lent`)
  const isWaiting = checkouts.pending.length > 0
  const first = lent[0]
  if (first) world.loans.giveBack(first)
  await advance(world, 1)
  if (isWaiting && lent.length !== capacity) {
    books.violate('no lost wake-up', `${lent.length} of ${capacity} are lent`)
  }
}

/** Gives back whatever is lent until nothing is, and nobody waits for anything any more; `false` if that never happens. */
async function rest(world: World): Promise<boolean> {
  const { clock, loans } = world
  for (let patience = PATIENCE; patience > 0; patience -= 1) {
    loans.giveAllBack()
    await settle(world)
    if (!world.isBusy) return true
    if (Number.isFinite(clock.nextAt)) await advance(world, clock.nextAt - clock.now())
  }
  return false
}
