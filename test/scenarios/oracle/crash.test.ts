import t from 'tap'
import { startPostgres } from '../../fixtures/postgres.js'
import { describeAnswer } from './client.js'
import { assertCommitted, holdRequest, nextXid, useXids } from './held.js'
import { violationsOf } from './judge.js'
import { KINDS, SCHEMA } from './kinds.js'
import { Witness } from './witness.js'

// So that nothing of what is not committed reaches the disk.
const postgres = await startPostgres(t, { wal_writer_delay: '10s' })
await postgres.admin(SCHEMA)

/**
 * After a crash the server gives out again the xids of which nothing had reached the disk: the same server, on the same
 * timeline, and after the second kind even with the same `pg_postmaster_start_time()`.
 */
const CRASHES = {
  'an immediate shutdown': () => postgres.restart('immediate'),
  'the crash of a backend': async (pid: number) => {
    process.kill(pid, 'SIGKILL')
    // The dead are listed until the server has begun anew.
    const isListed = () =>
      postgres.backends({ pids: [pid] }).then(
        backends => backends.length > 0,
        () => true
      )
    while (await isListed());
  }
}

for (const [how, crash] of Object.entries(CRASHES)) {
  for (const kind of [KINDS.insert, KINDS.transaction]) {
    t.test(`${kind.name}: an xid set free by ${how} is never taken for an answer`, async t => {
      const { key, pid, xid, resume } = await holdRequest(t, postgres, kind, 'before the commit')
      const next = await nextXid(postgres)
      await crash(pid)
      await useXids(t, postgres, next)
      await assertCommitted(t, postgres, xid)

      const answers = await resume()
      const witness = await Witness.open(t, postgres.url)
      const name = answers.map(describeAnswer).join('; ')
      t.strictSame(violationsOf(answers, kind, key, await witness.rows(key)), [], name)
    })
  }
}
