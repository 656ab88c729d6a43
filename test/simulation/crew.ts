import os from 'node:os'
import type { Batch, Outcome } from './batch.js'
import { addTally, emptyTally } from './transitions.js'
import type { Workbench } from './workbench.js'

/** Enough for a thread to be worth its start, and few enough for all threads to end at about the same time. */
const BATCH = 2500

/** Runs a batch on all processors; the failure of the smallest seed, if any, is the one reported. */
export async function simulateAll(bench: Workbench, batch: Batch): Promise<Outcome> {
  const sum = { schedules: 0, operations: 0, tame: 0, tally: emptyTally() }
  const failures: NonNullable<Outcome['failure']>[] = []
  let next = batch.first
  const end = batch.first + batch.count
  const lane = async () => {
    while (next < end && failures.length === 0) {
      const first = next
      next = Math.min(end, first + BATCH)
      const outcome = await bench.run({ first, count: next - first })
      sum.schedules += outcome.schedules
      sum.operations += outcome.operations
      sum.tame += outcome.tame
      addTally(sum.tally, outcome.tally)
      if (outcome.failure) failures.push(outcome.failure)
    }
  }
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane))
  failures.sort((a, b) => a.seed - b.seed)
  return { ...sum, failure: failures[0] }
}
