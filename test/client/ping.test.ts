import t from 'tap'
import { Ping } from '../../src/client/ping.js'
import { PingTimeoutError } from '../../src/session-errors.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { openClient, pidOf, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { recordStatements } from '../fixtures/wire.js'

const postgres = await startPostgres(t)

t.test(
  'D05 D06: a ping is answered idle, in a transaction and in a failed one, and changes none',
  async t => {
    const client = await openClient(t, postgres.url)
    const status = () => client.raw.getTransactionStatus()
    await client.ping(60_000)
    t.equal(status(), 'I')
    await run(client, 'begin isolation level serializable read only deferrable')
    await client.ping(60_000)
    t.equal(status(), 'T')
    t.match((await run(client, 'show transaction_read_only')).rows, [
      { transaction_read_only: 'on' }
    ])
    await t.rejects(run(client, 'select 1/0'))
    await client.ping(60_000)
    t.equal(status(), 'E')
    await t.rejects(run(client, 'select 1'), { code: '25P02' })
    await run(client, 'rollback')
    await client.ping(60_000)
    t.equal(status(), 'I')
  }
)

t.test(
  'D02 D03 D04: what a session has for its transactions survives a ping, and ends with discard',
  async t => {
    const client = await openClient(t, postgres.url, {
      resetMode: 'discard',
      config: { options: '-c default_transaction_read_only=on' }
    })
    const settings = async () => {
      const names = ['read_only', 'deferrable', 'isolation']
      const texts = names.map(name => `current_setting('transaction_${name}') ${name}`)
      return (await run(client, `select ${texts.join(', ')}`)).rows[0]
    }
    const ofTheServer = { read_only: 'on', deferrable: 'off', isolation: 'read committed' }
    t.same(await settings(), ofTheServer)
    await client.ping(60_000)
    t.same(await settings(), ofTheServer, 'set for all sessions')
    await run(
      client,
      'set session characteristics as transaction isolation level serializable, read write, deferrable'
    )
    const own = { read_only: 'off', deferrable: 'on', isolation: 'serializable' }
    t.same(await settings(), own)
    await client.ping(60_000)
    t.same(await settings(), own, 'set for this one')
    await client.reset()
    t.same(await settings(), ofTheServer)
  }
)

t.test('a ping is no statement: the server notes nothing of it', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const client = await openClient(t, proxy.url(postgres.url))
  await run(client, "select 'the last'")
  const before = proxy.bytes
  await client.ping(60_000)
  t.same([proxy.bytes.toServer - before.toServer, proxy.bytes.toClient - before.toClient], [5, 6])
  t.same(statements, ["select 'the last'"])
  const [backend] = await postgres.backends({ pids: [pidOf(client)] })
  t.equal(backend?.query, "select 'the last'")
})

t.test('what is open and prepared in the session outlives a ping', async t => {
  const client = await openClient(t, postgres.url)
  const prepared = { name: 'prepared', text: 'select 1 x' }
  await run(client, prepared)
  await run(client, 'begin')
  await run(client, 'declare rows cursor for select generate_series(1, 3) x')
  t.match((await run(client, 'fetch rows')).rows, [{ x: 1 }])
  await client.ping(60_000)
  t.match((await run(client, 'fetch rows')).rows, [{ x: 2 }])
  t.match(await run(client, prepared), { rows: [{ x: 1 }] })
})

t.test('pings take their turn among the statements', async t => {
  const client = await openClient(t, postgres.url)
  const order: string[] = []
  const note = (name: string) => () => order.push(name)
  await Promise.all([
    run(client, 'select 1').then(note('a')),
    client.ping(60_000).then(note('ping')),
    run(client, 'select 1/0').catch(note('b')),
    client.ping(60_000).then(note('ping')),
    run(client, 'select 1').then(note('c'))
  ])
  t.same(order, ['a', 'ping', 'b', 'ping', 'c'])
})

t.test(
  'X06: a backend that is frozen does not answer, and is given up without a goodbye',
  async t => {
    const clock = new FakeClock()
    const client = await openClient(t, postgres.url, { clock })
    postgres.freeze(pidOf(client))
    const ping = t.rejects(client.ping(1000), PingTimeoutError)
    const statement = t.rejects(run(client, 'select 1'), PingTimeoutError)
    await clock.advance(999)
    t.equal(client.lost, undefined)
    await clock.advance(1)
    await ping
    await statement
    t.type(client.lost, PingTimeoutError)
    t.equal(client.raw.connection.stream.destroyed, true)
    await client.close()
  }
)

for (const direction of ['both', 'toServer', 'toClient'] as const) {
  t.test(`X07: a network that swallows everything (${direction}) is a ping unanswered`, async t => {
    const clock = new FakeClock()
    const proxy = await startProxy(t, postgres)
    const client = await openClient(t, proxy.url(postgres.url), { clock })
    proxy.freeze(direction)
    const ping = t.rejects(client.ping(1000), PingTimeoutError)
    await clock.advance(1000)
    await ping
    t.equal(client.raw.connection.stream.destroyed, true)
    await client.close()
  })
}

t.test('a killed backend answers a ping with its own last words', async t => {
  const client = await openClient(t, postgres.url)
  const pid = pidOf(client)
  postgres.freeze(pid)
  await postgres.admin('select pg_terminate_backend($1)', [pid])
  const ping = t.rejects(client.ping(60_000), { code: '57P01' })
  postgres.thaw(pid)
  await ping
})

t.test('an answer that waits behind a stall of our own is no time-out', async t => {
  for (let round = 0; round < 20; round += 1) {
    const client = await openClient(t, postgres.url)
    const ping = client.ping(5)
    const stalledUntil = performance.now() + 150
    while (performance.now() < stalledUntil);
    await ping
    await new Promise(setImmediate)
    if (client.lost !== undefined) t.fail('the client is given up though it answered')
    await client.close()
  }
})

t.test("an answered ping stays answered when pg's own clock runs out later", async t => {
  const client = await openClient(t, postgres.url, { config: { query_timeout: 1000 } })
  await client.ping(60_000)
  const later = performance.now() + 1200
  while (performance.now() < later) await run(client, 'select 1')
  t.equal(client.lost, undefined)
})

t.test(
  'a ping that was answered leaves no timer behind, and one that was refused neither',
  async t => {
    const clock = new FakeClock()
    const client = await openClient(t, postgres.url, { clock })
    await client.ping(1000)
    t.same(clock.pending, { foreground: 0, background: 0 })
    await postgres.terminateBackends({ pids: [pidOf(client)] })
    await t.rejects(client.ping(1000), { code: '57P01' })
    t.same(clock.pending, { foreground: 0, background: 0 })
  }
)

t.test('a Ping is a Sync, and settles once the server is ready', t => {
  const settled: unknown[] = []
  const ping = new Ping(error => settled.push(error))
  let syncs = 0
  ping.submit({ sync: () => (syncs += 1) } as never)
  t.equal(syncs, 1)
  ping.handleReadyForQuery()
  const reason = new Error('gone')
  ping.handleError(reason)
  t.same(settled, [undefined, reason])
  t.end()
})
