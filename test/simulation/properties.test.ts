import fc from 'fast-check'
import t from 'tap'
import { type Story, story } from './arbitraries.js'
import { MUTATIONS, mutate } from './mutations.js'
import { simulate, simulateOperations } from './simulate.js'
import { emptyTally } from './transitions.js'
import type { Workbench } from './workbench.js'

const { PROPERTY_RUNS = 3000, SIMULATION_SEED = 1 } = process.env
const seed = Number(SIMULATION_SEED)

t.setTimeout(900_000)

/** Holds for a story in which no invariant is violated; the core is the one that `run` belongs to. */
function holds(run: typeof simulateOperations) {
  return fc.asyncProperty(story, async (tale: Story) => {
    const { closeTimeout, operations, options, rest } = tale
    const violation = await run(options, operations, rest, closeTimeout)
    if (violation) throw new Error(`${violation.invariant}: ${violation.detail}`)
  })
}

/** How many steps are left of the story that shows the fault, when nothing more can be left out. */
async function shrink(bench: Workbench): Promise<{ steps: number; error: string }> {
  const { simulateOperations: run } = await bench.load()
  const { counterexample, errorInstance } = await fc.check(holds(run), { seed, numRuns: 1000 })
  const steps = counterexample?.[0].operations.length ?? Number.POSITIVE_INFINITY
  return { steps, error: String(errorInstance) }
}

t.test('no story violates an invariant', async t => {
  await fc.assert(holds(simulateOperations), { seed, numRuns: Number(PROPERTY_RUNS) })
  t.pass(`${PROPERTY_RUNS} stories, seed ${seed}`)
})

t.test('what shows a fault shrinks to a handful of steps', async t => {
  const names = [
    'the wake-up after a failed connect is dropped',
    'the generation is not checked',
    'a failed ping leaks the slot',
    'a second return counts'
  ]
  for (const name of names) {
    const mutation = MUTATIONS.find(other => other.name === name)
    if (!mutation) throw new Error(`Expected a mutation '${name}'`)
    using bench = mutate(mutation)
    const { error, steps } = await shrink(bench)
    t.ok(steps <= 8, `${name}: ${steps} steps, ${error}`)
  }
})

t.test('a seed always tells the same story', async t => {
  const tell = async () => {
    const lines: string[] = []
    await simulate(seed, emptyTally(), line => lines.push(line))
    return lines
  }
  const lines = await tell()
  t.ok(lines.length > 50)
  t.strictSame(await tell(), lines)
})
