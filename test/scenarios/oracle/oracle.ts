import type { Test } from 'tap'
import { startPostgres } from '../../fixtures/postgres.js'
import {
  type CutPoint,
  describeFinding,
  type Ending,
  type Finding,
  Laboratory
} from './experiment.js'
import { violationsIn } from './judge.js'
import { type RequestKind, SCHEMA } from './kinds.js'
import { Tally } from './tally.js'

/** While one waits for a backend to come or to go, another can go on; or, longer, for silence to be found out. */
const LABORATORIES = { usual: 4, silence: 45 }
/** Of the answers to cuts between the arrival of the xid and that of the answer. */
const TRUTH_AT_LEAST = 0.99

/** What a backend had said when it is killed arrives in any case, so that there is no difference to the next message. */
const SIDES = {
  fin: { toServer: ['before', 'after'], toClient: ['before', 'after'] },
  rst: { toServer: ['before', 'after'], toClient: ['before', 'after'] },
  kill: { toServer: ['before', 'after'], toClient: ['before'] },
  // Behind a message that way is ahead of the next one; behind the last one there is nothing left to be silent about.
  silence: { toServer: ['before'], toClient: ['before'] }
} as const

/** Cuts each kind of request before and after every message, and holds the answers against the rows. */
export async function consultOracle(
  t: Test,
  kinds: readonly RequestKind[],
  endings: readonly Ending[]
): Promise<void> {
  // Logging in is most of the work, so the password is stored in the form that costs the least.
  const postgres = await startPostgres(t, { scram_iterations: '1', max_connections: '300' })
  await postgres.admin(`alter role postgres password '${postgres.server.password}'`)
  await postgres.admin(SCHEMA)
  const count = endings.includes('silence') ? LABORATORIES.silence : LABORATORIES.usual
  const laboratories = await Promise.all(
    Array.from({ length: count }, () => Laboratory.open(t, postgres))
  )
  const tally = new Tally(endings)

  for (const kind of kinds) {
    await t.test(`${kind.name}: wherever it is cut, the answer is no lie`, async t => {
      const whole = await laboratories[0]!.run(kind)
      t.strictSame(violationsIn(whole), [], 'not cut it works', { diag: describeFinding(whole) })
      const findings = await runAll(t, laboratories, kind, everyCut(whole, endings))
      for (const finding of findings) {
        tally.add(finding)
        const broken = violationsIn(finding)
        if (broken.length > 0) t.fail(broken.join('; '), { diag: describeFinding(finding) })
      }
      t.comment(`${findings.length} cuts, ${whole.dialogue.length} messages`)
      t.ok(findings.length > 0)
    })
  }

  await t.test('with an xid in hand, the truth is told', async t => {
    t.comment(`${tally.cuts} cuts; how many answers told the truth, the others were unknown`)
    for (const line of tally.table()) t.comment(line)
    for (const where of tally.unknown) t.comment(`xid in hand, and unknown: ${where}`)
    for (const how of endings) {
      const { cuts, truth } = tally.middle(how)
      t.ok(cuts > 0, 'the xid has been asked for')
      t.ok(truth >= TRUTH_AT_LEAST * cuts, `${how}: ${truth} of ${cuts}`)
    }
  })
}

async function runAll(
  t: Test,
  laboratories: readonly Laboratory[],
  kind: RequestKind,
  cuts: CutPoint[]
): Promise<Finding[]> {
  const findings: Finding[] = []
  const work = laboratories.map(async laboratory => {
    for (let cut = cuts.pop(); cut; cut = cuts.pop()) {
      findings.push(await laboratory.run(kind, cut))
    }
  })
  // All of them, lest one is still at work when the next kind begins.
  for (const result of await Promise.allSettled(work)) {
    if (result.status === 'rejected') t.fail(String(result.reason))
  }
  return findings
}

function everyCut({ dialogue }: Finding, endings: readonly Ending[]): CutPoint[] {
  const count = { toServer: 0, toClient: 0 }
  return dialogue.flatMap(({ way }) => {
    count[way] += 1
    const message = count[way]
    return endings.flatMap(how => SIDES[how][way].map(side => ({ way, side, message, how })))
  })
}
