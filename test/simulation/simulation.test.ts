import t from 'tap'
import { simulateAll } from './crew.js'
import { replayCommand } from './replay.js'
import { TRANSITIONS } from './transitions.js'
import { Workbench } from './workbench.js'

/** As many as CI runs; fewer say little about the rare transitions. */
const FULL = 100_000
const AT_LEAST = 1000

const { SIMULATION_SCHEDULES = FULL, SIMULATION_SEED = 1 } = process.env
const count = Number(SIMULATION_SCHEDULES)
const first = Number(SIMULATION_SEED)

t.setTimeout(900_000)

t.test(`${count} random schedules violate no invariant`, async t => {
  using bench = new Workbench()
  const start = performance.now()
  const { failure, operations, schedules, tally, tame } = await simulateAll(bench, { first, count })
  const seconds = (performance.now() - start) / 1000
  t.comment(
    `seeds from ${first}: ${schedules} schedules, ${operations} operations, ${Math.round(seconds)} s`
  )
  for (const name of TRANSITIONS) t.comment(`${String(tally[name]).padStart(10)}  ${name}`)

  if (failure) t.comment(`replay: ${replayCommand(failure)}`)
  t.equal(failure, undefined, failure ? replayCommand(failure) : 'no violation')
  t.equal(tame, 0, 'each has at least 50 operations and 3 kinds of fault')
  if (failure || count < FULL) return
  const rare = TRANSITIONS.filter(name => tally[name] < AT_LEAST)
  t.strictSame(rare, [], `each transition was taken at least ${AT_LEAST} times`)
})
