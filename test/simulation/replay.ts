import { pathToFileURL } from 'node:url'
import type { Failure } from './batch.js'
import { simulate } from './simulate.js'
import { emptyTally } from './transitions.js'

/** What to type to see a schedule step by step. */
export function replayCommand({ seed }: Failure): string {
  return `npx tsx test/simulation/replay.ts ${seed}`
}

/** Runs the schedule of a seed and prints all that happens in it. */
async function replay(seed: number): Promise<void> {
  const { violation } = await simulate(seed, emptyTally(), console.log)
  console.log(violation ? `${violation.invariant}: ${violation.detail}` : 'no violation')
  process.exitCode = violation ? 1 : 0
}

const { argv } = process
if (import.meta.url === pathToFileURL(argv[1] ?? '').href) await replay(Number(argv[2]))
