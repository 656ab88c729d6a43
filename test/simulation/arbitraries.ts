import fc from 'fast-check'
import { KINDS, type Operation, QUIET } from './operations.js'
import type { FaultRates, WorldOptions } from './options.js'
import { WEIGHTS } from './schedule.js'

/** A world and what is done in it; every part shrinks, towards a small pool in which nothing goes wrong. */
export interface Story {
  readonly options: WorldOptions
  readonly operations: readonly Operation[]
  /** What goes on while the pool is closed; none: the faults stop first, and the pool must recover. */
  readonly rest: readonly Operation[] | undefined
  readonly closeTimeout: number
}

const rate = fc.constantFrom(0, 0.05, 0.2, 0.9)

const faults: fc.Arbitrary<FaultRates> = fc.record({
  connectFails: rate,
  connectHangs: rate,
  refusesLogin: rate,
  refusesFull: rate,
  arrivesDead: rate,
  pingFails: rate,
  pingHangs: rate,
  pingMisjudged: rate,
  resetFails: rate,
  resetHangs: rate,
  listenerThrows: rate,
  listenerAborts: rate,
  listenerPings: rate,
  slowConnects: rate,
  slow: rate
})

const options: fc.Arbitrary<WorldOptions> = fc.record({
  seed: fc.nat(),
  connectTimeout: fc.constantFrom(50, 1000),
  faults,
  pool: fc.record({
    poolSize: fc.constantFrom(1, 2, 3, 0),
    maxOverflow: fc.constantFrom(0, 1, -1),
    idleTimeout: fc.constantFrom(500, 50, 0),
    recycle: fc.constantFrom(-1, 1000, 100),
    recycleJitter: fc.constantFrom(0, 0.2, 1),
    isNullPool: fc.oneof(
      { weight: 15, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) }
    ),
    isLifo: fc.boolean(),
    isPrePing: fc.constantFrom(true, true, false),
    window: fc.constantFrom(0, 25, 500),
    pingTimeout: fc.constantFrom(100, 1000),
    timeout: fc.constantFrom(1000, 50, 30_000, 0),
    recoveryTimeout: fc.constantFrom(1000, 50, 0, 5000),
    maxWaiting: fc.constantFrom(1000, 2, 0)
  })
})

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof(
    ...KINDS.map(kind => ({
      weight: Math.round(WEIGHTS[kind] * 100),
      arbitrary: fc.constant(kind)
    }))
  ),
  a: fc.nat(1000),
  b: fc.nat(1000),
  turns: fc.constantFrom(QUIET, QUIET, QUIET, 0, 1, 2, 3)
})

export const story: fc.Arbitrary<Story> = fc.record({
  options,
  operations: fc.array(operation, { maxLength: 120, size: 'max' }),
  rest: fc.option(fc.array(operation, { maxLength: 15, size: 'max' }), { nil: undefined }),
  closeTimeout: fc.constantFrom(0, 50, 1000)
})
