import t from 'tap'
import { startPostgres } from '../../fixtures/postgres.js'
import { startStandby } from '../../fixtures/standby.js'
import { describeAnswer } from './client.js'
import { assertCommitted, holdRequest, nextXid, useXids } from './held.js'
import { violationsOf } from './judge.js'
import { KINDS, SCHEMA } from './kinds.js'
import { Witness } from './witness.js'

const primary = await startPostgres(t)
await primary.admin(SCHEMA)

t.test('an xid of the old timeline is never taken for an answer', async t => {
  const standby = await startStandby(t, primary)
  await standby.untilCaughtUp(primary)
  await standby.stopStreaming()

  const cases = [KINDS.insert, KINDS.transaction].flatMap(kind =>
    (['before the commit', 'before its answer'] as const).map(at => ({ kind, at }))
  )
  const requests = await Promise.all(
    cases.map(async ({ kind, at }) => ({
      kind,
      at,
      ...(await holdRequest(t, primary, kind, at))
    }))
  )
  const next = await nextXid(primary)
  await primary.stop('immediate')
  await standby.promote()
  await useXids(t, standby, next)
  const witness = await Witness.open(t, standby.url)

  for (const { kind, at, key, xid, proxy, resume } of requests) {
    await assertCommitted(t, standby, xid)
    proxy.target = { host: standby.host, port: standby.port }
    const answers = await resume()
    const name = `${kind.name}, lost ${at}: ${answers.map(describeAnswer).join('; ')}`
    t.strictSame(violationsOf(answers, kind, key, await witness.rows(key)), [], name)
    t.equal(answers[0]?.outcome, 'unknown', name)
  }
})
