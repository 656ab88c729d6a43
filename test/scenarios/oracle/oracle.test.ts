import t from 'tap'
import { startPostgres } from '../../fixtures/postgres.js'
import { type CutPoint, describeFinding, type Finding, Laboratory } from './experiment.js'
import { violationsIn } from './judge.js'
import { enabledKinds, RESOLVES_DOUBT, SCHEMA } from './kinds.js'
import { Tally } from './tally.js'

/** While one waits for a backend to come or to go, another can go on. */
const LABORATORIES = 4
/** Of the answers to cuts between the arrival of the xid and that of the answer. */
const TRUTH_AT_LEAST = 0.99

// Logging in is most of the work, so the password is stored in the form that costs the least.
const postgres = await startPostgres(t, { scram_iterations: '1' })
await postgres.admin(`alter role postgres password '${postgres.server.password}'`)
await postgres.admin(SCHEMA)
const laboratories = await Promise.all(
  Array.from({ length: LABORATORIES }, () => Laboratory.open(t, postgres))
)
const tally = new Tally()

for (const kind of enabledKinds) {
  t.test(`${kind.name}: wherever it is cut, the answer is no lie`, async t => {
    const [laboratory] = laboratories
    const whole = await laboratory!.run(kind)
    t.strictSame(violationsIn(whole), [], 'not cut it works', { diag: describeFinding(whole) })
    const cuts = everyCut(whole)
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
    for (const finding of findings) {
      tally.add(finding)
      const broken = violationsIn(finding)
      if (broken.length > 0) t.fail(broken.join('; '), { diag: describeFinding(finding) })
    }
    t.comment(`${findings.length} cuts, ${whole.dialogue.length} messages`)
    t.ok(findings.length > 0)
  })
}

t.test('with an xid in hand, the truth is told', async t => {
  t.comment(`${tally.cuts} cuts; answers that tell the truth, the others say that it is unknown`)
  for (const line of tally.table()) t.comment(line)
  for (const how of ['fin', 'rst'] as const) {
    const { cuts, truth } = tally.middle(how)
    t.equal(cuts > 0, RESOLVES_DOUBT, 'xids are asked for when they are used')
    t.ok(truth >= TRUTH_AT_LEAST * cuts, `${how}: ${truth} of ${cuts}`)
  }
})

/** Before and after every message of the dialogue. */
function everyCut({ dialogue }: Finding): CutPoint[] {
  const count = { toServer: 0, toClient: 0 }
  return dialogue.flatMap(({ way }) => {
    count[way] += 1
    const message = count[way]
    return (['before', 'after'] as const).flatMap(side =>
      (['fin', 'rst'] as const).map(how => ({ way, side, message, how }))
    )
  })
}
