import { checkAlways, checkQuiet } from './invariants.js'
import { type Operation, perform, periodOf, QUIET } from './operations.js'
import type { World } from './world.js'

/** More timers than anything sets within one step. */
const MAX_TIMERS = 10_000

/** Resolves when every promise that can settle has: `process.nextTick` comes after the microtasks. */
function quiet(): Promise<void> {
  return new Promise(resolve => process.nextTick(resolve))
}

/** Does one step in the world and looks whether everything holds after it. Whether the step did anything. */
export async function step(world: World, operation: Operation): Promise<boolean> {
  const { books } = world
  const { kind, turns } = operation
  books.trace?.(`${world.clock.now()} ${kind} ${operation.a} ${operation.b} ${turns}`)
  try {
    const period = periodOf(world, operation)
    if (period !== undefined) {
      await (kind === 'stall' ? stall(world, period) : advance(world, period))
      return true
    }
    world.connects.beginStep()
    books.trigger()
    if (!perform(world, operation)) return false
    await pass(world, turns)
    return true
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    books.violate('nothing throws', detail)
    return true
  }
}

/** Lets time pass; whatever falls due happens in its time, and what follows from it before the next. */
export async function advance(world: World, period: number): Promise<void> {
  const { clock } = world
  const until = clock.now() + period
  await settle(world)
  for (let timers = 0; clock.nextAt <= until && isPatient(world, timers); timers += 1) {
    runTimer(world, until)
    await quiet()
    if (clock.nextAt > clock.now()) checkQuiet(world)
  }
  clock.moveTo(until)
  await settle(world)
}

/** The event loop was busy: everything due in this time happens at the end of it. */
async function stall(world: World, period: number): Promise<void> {
  const { clock } = world
  await settle(world)
  clock.moveTo(clock.now() + period)
  const until = clock.now()
  for (let timers = 0; clock.nextAt <= until && isPatient(world, timers); timers += 1) {
    runTimer(world, until)
    await quiet()
  }
  checkQuiet(world)
}

export async function settle(world: World): Promise<void> {
  await quiet()
  checkQuiet(world)
}

async function pass(world: World, turns: number): Promise<void> {
  if (turns >= QUIET) {
    await settle(world)
    return
  }
  for (let turn = 0; turn < turns; turn += 1) await undefined
  checkAlways(world)
}

function isPatient({ books }: World, timers: number): boolean {
  if (timers === MAX_TIMERS) books.violate('everything comes to rest', `${timers} timers in a row`)
  return timers < MAX_TIMERS
}

function runTimer(world: World, until: number): void {
  const { books, clock } = world
  world.connects.beginStep()
  books.trigger()
  books.isInTimer = true
  clock.runNext(until)
  books.isInTimer = false
}
