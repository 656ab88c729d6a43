import type { Change, Mutation } from './mutations/mutation.js'
import { DISPATCHER } from './mutations/of-dispatcher.js'
import { INVENTORY } from './mutations/of-inventory.js'
import { OTHERS } from './mutations/of-others.js'
import { POOL } from './mutations/of-pool.js'
import { RECOVERY } from './mutations/of-recovery.js'
import { RETURNS } from './mutations/of-returns.js'
import { WAITING_LINE } from './mutations/of-waiting-line.js'
import { readSource, Workbench } from './workbench.js'

/** Faults that the core must not have; the simulation must find each. */
export const MUTATIONS: readonly Mutation[] = [
  ...inFile('pool.ts', POOL),
  ...inFile('dispatcher.ts', DISPATCHER),
  ...inFile('inventory.ts', INVENTORY),
  ...inFile('recovery.ts', RECOVERY),
  ...inFile('waiting-line.ts', WAITING_LINE),
  ...inFile('returns.ts', RETURNS),
  ...OTHERS
]

/**
 * The simulation of a core with the fault in it.
 *
 * @throws the text to be replaced is not found exactly once: the mutation must follow the code
 */
export function mutate({ file, find, name, replace }: Mutation): Workbench {
  const path = `src/pool/${file}`
  const [before, after, ...more] = readSource(path).split(find)
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`Expected the text of the mutation '${name}' once in ${path}: ${find}`)
  }
  return new Workbench(new Map([[path, before + replace + after]]))
}

function inFile(file: string, changes: readonly Change[]): Mutation[] {
  return changes.map(change => ({ ...change, file }))
}
