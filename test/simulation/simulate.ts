import { closeInFlight, end, recover } from './ending.js'
import type { Operation } from './operations.js'
import type { WorldOptions } from './options.js'
import { Random } from './random.js'
import { drawOptions, Schedule } from './schedule.js'
import { step } from './step.js'
import { emptyTally, type Tally } from './transitions.js'
import type { Violation } from './violation.js'
import { World } from './world.js'

/** The least that a drawn schedule has of each. */
export const MIN_OPERATIONS = 50
export const MIN_FAULTS = 3
/** By then a schedule that has not enough of them gets them on purpose; and by then it has failed to. */
const TROUBLE_AFTER = 100
const MAX_OPERATIONS = 2000

/** What a schedule came to. */
export interface Result {
  readonly violation: Violation | undefined
  /** Steps that did something. */
  readonly operations: number
  /** Kinds of fault that had an effect. */
  readonly faults: number
}

type Trace = (text: string) => void

/** Runs the schedule that follows from a seed, adding to the tally which transitions were taken. */
export async function simulate(seed: number, tally: Tally, trace?: Trace): Promise<Result> {
  const random = new Random(seed)
  const options = drawOptions(random)
  trace?.(JSON.stringify(options, undefined, 1))
  const schedule = new Schedule(random)
  const world = new World(options, tally)
  world.books.trace = trace
  let operations = 0
  const isEnough = () => operations >= MIN_OPERATIONS && world.books.faults.size >= MIN_FAULTS
  for (let n = 0; n < MAX_OPERATIONS && !isEnough() && !world.books.violation; n += 1) {
    const operation = n < TROUBLE_AFTER ? schedule.next() : schedule.trouble()
    if (await step(world, operation)) operations += 1
  }
  const isClosedInFlight = random.chance(0.4)
  const rest = Array.from({ length: 12 }, () => schedule.next())
  const rush = isClosedInFlight ? schedule.rush() : []
  if (random.chance(0.12)) rush.push(...schedule.crowd())
  for (const operation of rush) if (!world.books.violation) await step(world, operation)
  await finish(world, isClosedInFlight ? rest : undefined, random.pick([0, 50, 1000]))
  return { violation: world.books.violation, operations, faults: world.books.faults.size }
}

/** Runs a schedule that is there already. */
export async function simulateOperations(
  options: WorldOptions,
  operations: readonly Operation[],
  rest: readonly Operation[] | undefined,
  closeTimeout: number
): Promise<Violation | undefined> {
  const world = new World(options, emptyTally())
  for (const operation of operations) {
    await step(world, operation)
    if (world.books.violation) return world.books.violation
  }
  await finish(world, rest, closeTimeout)
  return world.books.violation
}

/** Faults stop and the pool recovers; or it is closed while `rest` goes on. */
async function finish(
  world: World,
  rest: readonly Operation[] | undefined,
  closeTimeout: number
): Promise<void> {
  const { books } = world
  try {
    if (!books.violation && rest === undefined) await recover(world)
    if (!books.violation && rest !== undefined) await closeInFlight(world, closeTimeout, rest)
    if (!books.violation) await end(world)
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    books.violate('nothing throws', detail)
  }
}
