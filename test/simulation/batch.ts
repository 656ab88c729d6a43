import { setImmediate } from 'node:timers/promises'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { MIN_FAULTS, MIN_OPERATIONS, simulate } from './simulate.js'
import { emptyTally, type Tally } from './transitions.js'
import type { Violation } from './violation.js'

/** Seeds from `first` on. */
export interface Batch {
  readonly first: number
  readonly count: number
}

export interface Failure extends Violation {
  readonly seed: number
}

/** What a batch of schedules came to. */
export interface Outcome {
  readonly schedules: number
  readonly operations: number
  /** Schedules with too few steps, or kinds of fault, to count. */
  readonly tame: number
  readonly tally: Tally
  readonly failure: Failure | undefined
}

/** Runs the schedules of a batch, up to the first that fails. */
async function runBatch({ first, count }: Batch): Promise<Outcome> {
  const tally = emptyTally()
  const sum = { schedules: 0, operations: 0, tame: 0 }
  let unhandled: unknown
  const onUnhandled = (error: unknown) => {
    unhandled = error
  }
  process.on('unhandledRejection', onUnhandled)
  try {
    for (let seed = first; seed < first + count; seed += 1) {
      const { faults, operations, violation } = await simulate(seed, tally)
      // Promises that were rejected and that nobody looked at show in the next turn.
      await setImmediate()
      sum.schedules += 1
      sum.operations += operations
      if (operations < MIN_OPERATIONS || faults < MIN_FAULTS) sum.tame += 1
      if (violation) return { ...sum, tally, failure: { seed, ...violation } }
      if (unhandled) {
        const detail = `unhandled rejection: ${unhandled}`
        return { ...sum, tally, failure: { seed, invariant: 'nothing throws', detail } }
      }
    }
    return { ...sum, tally, failure: undefined }
  } finally {
    process.off('unhandledRejection', onUnhandled)
  }
}

// This file is what the threads of a `Workbench` run.
if (!isMainThread) {
  // Nobody reads the stacks of the errors that are made by the thousand here.
  Error.stackTraceLimit = 0
  parentPort?.postMessage(await runBatch(workerData as Batch))
}
