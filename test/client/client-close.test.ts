import t from 'tap'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart } from '../../src/client/parts.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { openClient, pidOf, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

const postgres = await startPostgres(t, { client_connection_check_interval: '50ms' })

/** Resolves when the server has no such session any more. */
async function untilGone(pid: number): Promise<void> {
  while ((await postgres.backends({ pids: [pid] })).length > 0);
}

t.test('an idle session takes its leave', async t => {
  const onLost = () => t.fail('it ended by our doing')
  const client = await openClient(t, postgres.url, { onLost })
  await client.close()
  t.equal(client.raw.connection.stream.destroyed, true)
  await untilGone(pidOf(client))
  await t.rejects(run(client, 'select 1'), { message: 'Client was closed and is not queryable' })
  await t.rejects(client.ping(1000), { message: 'Client was closed and is not queryable' })
})

t.test('to close a second time changes nothing', async t => {
  const client = await openClient(t, postgres.url)
  const first = client.close()
  const second = client.close()
  t.equal(first, second)
  await first
  t.equal(client.close(), first)
})

t.test('a busy session is ended by force: what runs and what waits rejects', async t => {
  const client = await openClient(t, postgres.url)
  const statements = Promise.allSettled([
    run(client, 'select pg_sleep(60)'),
    run(client, 'select 1'),
    client.ping(60_000)
  ])
  await postgres.untilBackends({ pids: [pidOf(client)], where: "wait_event = 'PgSleep'" })
  let isQuiet = false
  client.onceReady(() => {
    isQuiet = true
  })
  await client.close()
  t.same(
    (await statements).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected']
  )
  t.equal(isQuiet, true, 'whoever waits for quiet is told')
  await untilGone(pidOf(client))
})

t.test('a session that was lost before closes at once', async t => {
  let isLost: (error: unknown) => void = () => {}
  const lost = new Promise<unknown>(resolve => {
    isLost = resolve
  })
  const client = await openClient(t, postgres.url, { onLost: error => isLost(error) })
  await postgres.terminateBackends({ pids: [pidOf(client)] })
  await lost
  await client.close()
  t.match(client.lost, { code: '57P01' }, 'the reason is the first one')
})

t.test('a session that a library has ended is lost, and closes', async t => {
  const client = await openClient(t, postgres.url)
  const lost = new Promise(resolve => client.raw.once('end', resolve))
  await client.raw.end()
  await lost
  t.match(client.lost, { message: 'Connection terminated unexpectedly' })
  await t.rejects(run(client, 'select 1'), { message: 'Connection terminated unexpectedly' })
  await client.close()
})

t.test('A02: a session whose socket somebody has destroyed is lost, and closes', async t => {
  const client = await openClient(t, postgres.url)
  client.raw.connection.stream.destroy()
  await client.close()
  await t.rejects(run(client, 'select 1'))
})

t.test('on a half-open socket close() returns when its patience ends', async t => {
  const proxy = await startProxy(t, postgres)
  const clock = new FakeClock()
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  proxy.freeze()
  const closed = client.close()
  await clock.advance(999)
  t.equal(client.raw.connection.stream.destroyed, false, 'it may still be answered')
  await clock.advance(1)
  await closed
  t.equal(client.raw.connection.stream.destroyed, true)
})

t.test('with a statement on a half-open socket close() returns at once', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url), { clock: new FakeClock() })
  proxy.freeze()
  const statement = t.rejects(run(client, 'select 1'))
  await client.close()
  await statement
})

t.test('the server is heard from with every answer, and not by what we send', async t => {
  const proxy = await startProxy(t, postgres)
  const clock = new FakeClock(5)
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  await clock.advance(10)
  await run(client, 'select 1')
  t.equal(client.heardAt, 15)
  await clock.advance(10)
  await t.rejects(run(client, 'select 1/0'))
  t.equal(client.heardAt, 25, 'an error is an answer')
  await clock.advance(10)
  await client.ping(1000)
  t.equal(client.heardAt, 35)
  proxy.freeze()
  await clock.advance(10)
  const statement = t.rejects(run(client, 'select 1'))
  t.equal(client.heardAt, 35)
  await client.close()
  await statement
})

t.test('a session that owes a COMMIT sends it before it leaves', async t => {
  await postgres.admin('create table kept (id int)')
  const client = await openClient(t, postgres.url)
  await client.run(new Exchange([new ControlPart('BEGIN')], () => {}))
  await run(client, 'insert into kept values (1)')
  client.lateCommit.begin('read committed', [new ControlPart('COMMIT')])
  await client.close()
  await untilGone(pidOf(client))
  t.same(await postgres.admin('select id from kept'), [{ id: 1 }])
  await t.rejects(run(client, 'select 1'), { message: 'Client was closed and is not queryable' })
})

t.test('and does not wait for the answer for ever', async t => {
  const proxy = await startProxy(t, postgres)
  const clock = new FakeClock()
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  await client.run(new Exchange([new ControlPart('BEGIN')], () => {}))
  client.lateCommit.begin('read committed', [new ControlPart('COMMIT')])
  proxy.freeze()
  const closed = client.close()
  await clock.advance(1000)
  await closed
  t.equal(client.raw.connection.stream.destroyed, true)
})
