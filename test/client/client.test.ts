import { once } from 'node:events'
import t from 'tap'
import { openClient, pidOf, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { holdAfterErrors } from '../fixtures/wire.js'

const postgres = await startPostgres(t)

/** The reasons a session was lost for, as they are told. */
function losses() {
  const errors: unknown[] = []
  let tell: (error: unknown) => void = () => {}
  const first = new Promise<unknown>(resolve => {
    tell = resolve
  })
  const onLost = (error: unknown) => {
    errors.push(error)
    tell(error)
  }
  return { errors, first, onLost }
}

t.test('X36 X37: an idle session that is killed is known as lost at once, once', async t => {
  const { errors, first, onLost } = losses()
  const client = await openClient(t, postgres.url, { onLost })
  t.equal(client.lost, undefined)
  await postgres.terminateBackends({ pids: [pidOf(client)] })
  t.match(await first, { code: '57P01' })
  t.match(client.lost, { code: '57P01' })
  await client.close()
  t.equal(errors.length, 1, 'the FATAL and the end of the socket are one loss')
  await t.rejects(run(client, 'select 1'), { code: '57P01' })
  await t.rejects(client.ping(1000), { code: '57P01' })
})

t.test('a session killed in use: what runs and what waits rejects, and none hangs', async t => {
  const { errors, onLost } = losses()
  const client = await openClient(t, postgres.url, { onLost })
  const isLostAtOnce = run(client, "select pg_sleep(60), 'running'").catch(error => {
    t.match(error, { code: '57P01' })
    return client.lost !== undefined
  })
  const waiting = Promise.allSettled([run(client, 'select 1'), run(client, 'select 2', [])])
  await postgres.untilBackends({ pids: [pidOf(client)], where: "query like '%running%'" })
  await postgres.terminateBackends({ pids: [pidOf(client)] })
  t.equal(await isLostAtOnce, true, 'when the statement rejects, its client is known as lost')
  t.match(await waiting, [{ reason: { code: '57P01' } }, { reason: { code: '57P01' } }])
  await client.close()
  t.equal(errors.length, 1)
})

const cuts = {
  fin: { message: 'Connection terminated unexpectedly' },
  rst: { code: 'ECONNRESET' }
}
for (const cut of ['fin', 'rst'] as const) {
  t.test(`a ${cut.toUpperCase()} from the network is a loss, idle or in use`, async t => {
    const proxy = await startProxy(t, postgres)
    const idle = losses()
    const inUse = losses()
    await openClient(t, proxy.url(postgres.url), { onLost: idle.onLost })
    const busy = await openClient(t, proxy.url(postgres.url), { onLost: inUse.onLost })
    const statements = Promise.allSettled([
      run(busy, "select pg_sleep(60), 'cut'"),
      run(busy, 'select 1')
    ])
    await postgres.untilBackends({ pids: [pidOf(busy)], where: "query like '%cut%'" })
    proxy.cut(cut)
    t.match(await statements, [{ reason: cuts[cut] }, { reason: cuts[cut] }])
    t.match(await idle.first, cuts[cut])
    t.match(await inUse.first, cuts[cut])
    t.equal(idle.errors.length + inUse.errors.length, 2)
  })
}

t.test('the last session of a server that is shut down at once ends no process', async t => {
  const postgres = await startPostgres(t)
  const { first, onLost } = losses()
  const client = await openClient(t, postgres.url, { onLost })
  const statement = run(client, "select pg_sleep(60), 'immediate'")
  await postgres.untilBackends({ where: "query like '%immediate%'" })
  await Promise.all([postgres.stop('immediate'), t.rejects(statement), first])
  await client.close()
})

t.test('a statement rejects when the server is ready again, not before', async t => {
  const proxy = await startProxy(t, postgres)
  const held = new Promise<() => void>(resolve => holdAfterErrors(proxy, resolve))
  const client = await openClient(t, proxy.url(postgres.url))
  await run(client, 'begin')
  let isSettled = false
  const failing = run(client, 'select 1/0').finally(() => {
    isSettled = true
  })
  const next = run(client, 'rollback')
  await once(client.raw.connection, 'errorMessage')
  await new Promise(setImmediate)
  t.equal(isSettled, false, 'the transaction status is still the old one')
  const release = await held
  release()
  await t.rejects(failing, { code: '22012' })
  t.equal(client.raw.getTransactionStatus(), 'E')
  t.equal((await next).command, 'ROLLBACK')
})

t.test('whoever catches a rejection sees the transaction status as it is', async t => {
  const client = await openClient(t, postgres.url)
  let stale = 0
  for (let round = 0; round < 500; round += 1) {
    await run(client, 'begin')
    const status = run(client, 'select $1::int', ['x']).catch(() =>
      client.raw.getTransactionStatus()
    )
    if ((await status) !== 'E') stale += 1
    await run(client, 'rollback')
    if (client.isInTransaction) stale += 1
  }
  t.equal(stale, 0)
})

t.test('an error that was answered before the session died stays the one that is told', async t => {
  const proxy = await startProxy(t, postgres)
  holdAfterErrors(proxy, () => proxy.cut('rst'))
  const client = await openClient(t, proxy.url(postgres.url))
  const statements = Promise.allSettled([run(client, 'select 1/0'), run(client, 'select 1')])
  t.match(await statements, [{ reason: { code: '22012' } }, { reason: { code: 'ECONNRESET' } }])
})
