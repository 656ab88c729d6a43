import os from 'node:os'
import t from 'tap'
import type { Failure } from './batch.js'
import type { Mutation } from './mutations/mutation.js'
import { MUTATIONS, mutate } from './mutations.js'

/** Schedules within which every mutation must be caught; the core as it is passes them in `simulation.test.ts`. */
const WITHIN = 10_000

t.setTimeout(900_000)

async function hunt(mutation: Mutation): Promise<Failure | undefined> {
  using bench = mutate(mutation)
  const { failure } = await bench.run({ first: 1, count: WITHIN })
  return failure
}

t.test(`each of ${MUTATIONS.length} mutations of the core is caught`, async t => {
  const names = new Set(MUTATIONS.map(({ name }) => name))
  t.equal(names.size, MUTATIONS.length, 'each has a name of its own')
  const queue = MUTATIONS.values()
  const lane = async () => {
    for (const mutation of queue) {
      const failure = await hunt(mutation)
      const finding = failure ? `${failure.invariant} (schedule ${failure.seed})` : 'MISSED'
      t.ok(failure, `${mutation.file}, ${mutation.name}: ${finding}`)
    }
  }
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane))
})

t.test('a mutation whose text is not there, or twice, is refused', async t => {
  const fault = { name: 'none', file: 'pool.ts', replace: '' }
  t.throws(() => mutate({ ...fault, find: 'no such text' }), /Expected the text/)
  t.throws(() => mutate({ ...fault, find: 'this' }), /Expected the text/)
})
