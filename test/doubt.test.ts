import t from 'tap'
import type { Evidence } from '../src/client/evidence.js'
import { systemClock } from '../src/clock.js'
import { openClient } from './fixtures/open-client.js'
import { begin, end, openDoubt } from './fixtures/open-doubt.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProtocolProxy } from './fixtures/protocol-proxy.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t, { max_prepared_transactions: '2' })
await postgres.admin('create table entries (id int)')
const INSERT = 'insert into entries values (1)'

/** Of a transaction that is over. */
async function evidenceOf(how: 'COMMIT' | 'ROLLBACK'): Promise<Evidence> {
  const client = await openClient(t, postgres.url)
  const evidence = await begin(client, INSERT)
  await end(client, how)
  await client.close()
  return evidence
}
const committed = await evidenceOf('COMMIT')
const aborted = await evidenceOf('ROLLBACK')

t.test(
  'a transaction that is over is known for what it was, and the client given back',
  async t => {
    const { doubt, pool, tries } = openDoubt(t, postgres.url)
    t.equal(await doubt.resolve(committed), 'committed')
    t.equal(await doubt.resolve(aborted), 'aborted')
    t.match(pool.status(), { checkedOut: 0, idle: 1 })
    t.equal(tries.count, 1)
  }
)

t.test('any number may be resolved at once on a pool of one', async t => {
  const { doubt, pool } = openDoubt(t, postgres.url, { options: { poolSize: 1 } })
  const all = [committed, aborted, committed, aborted, committed]
  t.same(await Promise.all(all.map(evidence => doubt.resolve(evidence))), [
    'committed',
    'aborted',
    'committed',
    'aborted',
    'committed'
  ])
  t.match(pool.status(), { size: 1, idle: 1 })
})

t.test('a savepoint within it does not hide the transaction', async t => {
  const client = await openClient(t, postgres.url)
  const evidence = await begin(client, INSERT)
  await end(client, 'SAVEPOINT within')
  await end(client, INSERT)
  await end(client, 'ROLLBACK TO SAVEPOINT within')
  await end(client, 'COMMIT')
  t.equal(await openDoubt(t, postgres.url).doubt.resolve(evidence), 'committed')
})

t.test('a backend that still holds the transaction open is ended, and no other', async t => {
  const stuck = await openClient(t, postgres.url)
  const neighbour = await openClient(t, postgres.url)
  const evidence = await begin(stuck, INSERT)
  const another = await begin(neighbour, INSERT)
  t.equal(await openDoubt(t, postgres.url).doubt.resolve(evidence), 'aborted')
  await until(() => stuck.lost !== undefined)
  t.match(stuck.lost, { code: '57P01' })
  await end(neighbour, 'COMMIT')
  t.equal(await openDoubt(t, postgres.url).doubt.resolve(another), 'committed')
})

t.test('a COMMIT that is still under way is given time to arrive', async t => {
  const slow = await openClient(t, postgres.url)
  const evidence = await begin(slow, INSERT)
  let pauses = 0
  // Time stands still but for the pauses between questions: the first of them is when the COMMIT arrives.
  const clock = {
    now: () => pauses * 25,
    setTimer(ms: number, fn: () => void) {
      if (ms > 1000) return systemClock.setTimer(ms, fn)
      pauses += 1
      end(slow, 'COMMIT').then(fn, fn)
      return { cancel: () => {} }
    }
  }
  const { doubt } = openDoubt(t, postgres.url, { clock, timeout: 1e9 })
  t.equal(await doubt.resolve(evidence), 'committed')
  t.equal(pauses, 1)
  t.equal(slow.lost, undefined)
})

t.test(
  'a prepared transaction is nobody’s to end, nor is what its session did next: unknown',
  async t => {
    const client = await openClient(t, postgres.url)
    const evidence = await begin(client, INSERT)
    await end(client, `PREPARE TRANSACTION 'left'`)
    await begin(client, INSERT)
    const { doubt } = openDoubt(t, postgres.url, { timeout: 400 })
    t.equal(await doubt.resolve(evidence), 'unknown')
    await end(client, 'COMMIT')
    t.equal(client.lost, undefined)
    await postgres.admin(`commit prepared 'left'`)
    t.equal(await openDoubt(t, postgres.url).doubt.resolve(evidence), 'committed')
  }
)

t.test('an id that no transaction has had yet, or that is none, says nothing', async t => {
  const { doubt, pool } = openDoubt(t, postgres.url)
  for (const xid of [String(BigInt(committed.xid) + 1_000_000n), '-1', 'x', '']) {
    t.equal(await doubt.resolve({ ...committed, xid }), 'unknown', xid)
  }
  t.match(pool.status(), { checkedOut: 0, idle: 1 })
})

t.test('an answer about another cluster, or another timeline, is not taken', async t => {
  const { doubt } = openDoubt(t, postgres.url)
  const { server } = committed
  const others: Evidence[] = [
    { ...committed, timeline: '00000002' },
    { ...committed, timeline: '' },
    { ...committed, server: { ...server, systemIdentifier: '1' } },
    { ...committed, server: { ...server, systemIdentifier: '' } }
  ]
  for (const evidence of others) t.equal(await doubt.resolve(evidence), 'unknown')
})

t.test('of a server that crashed since and has made a checkpoint, nothing is known', async t => {
  await postgres.admin('checkpoint')
  const { doubt } = openDoubt(t, postgres.url)
  const server = { ...committed.server, startedAt: '1', statisticsSince: '2' }
  t.equal(await doubt.resolve({ ...committed, server }), 'unknown')
})

t.test('after a crash an id in use is that of somebody else, who is left in peace', async t => {
  const client = await openClient(t, postgres.url)
  const evidence = await begin(client, 'insert into entries values (7)')
  const { doubt } = openDoubt(t, postgres.url)
  const server = { ...evidence.server, statisticsSince: '2' }
  t.equal(await doubt.resolve({ ...evidence, server }), 'unknown')
  t.equal(client.lost, undefined)
  await end(client, 'ROLLBACK')
})

t.test('it asks again when the session it asked on is lost', async t => {
  const proxy = await startProtocolProxy(t, postgres)
  const { doubt, pool, tries } = openDoubt(t, proxy.proxy.url(postgres.url))
  let cuts = 0
  proxy.proxy.onConnection(() => {
    if (cuts === 4) return
    cuts += 1
    const how = cuts % 2 === 0 ? 'rst' : 'fin'
    const side = cuts > 2 ? 'after' : 'before'
    const isQuestion = (message: { name: string }) => message.name === 'Parse'
    proxy.conversations.at(-1)?.at({ way: 'toServer', side, message: isQuestion }, () => {
      proxy.conversations.at(-1)?.cut(how)
    })
  })
  t.equal(await doubt.resolve(committed), 'committed')
  t.equal(tries.count, 5)
  t.match(pool.status(), { checkedOut: 0, size: 1 })
})

t.test('a server that is away is asked when it is back', async t => {
  const proxy = await startProxy(t, postgres)
  proxy.refuse()
  const { doubt, tries } = openDoubt(t, proxy.url(postgres.url))
  const resolving = doubt.resolve(committed)
  await until(() => tries.count >= 3)
  await proxy.accept()
  t.equal(await resolving, 'committed')
})

t.test('whoever resets the statistics makes no lie of an answer', async t => {
  const client = await openClient(t, postgres.url)
  const before = await evidenceOf('COMMIT')
  const after = await begin(client, INSERT)
  await postgres.admin(`select pg_stat_reset_shared('bgwriter')`)
  await end(client, 'COMMIT')
  const { doubt } = openDoubt(t, postgres.url)
  for (const evidence of [before, after, aborted]) {
    t.not(await doubt.resolve(evidence), evidence === aborted ? 'committed' : 'aborted')
  }
})
