import t from 'tap'
import type { Client } from '../src/client/client.js'
import { clientConfig } from '../src/client/config.js'
import { EvidencePart } from '../src/client/evidence.js'
import { Exchange } from '../src/client/exchange.js'
import type { Wire } from '../src/client/wire.js'
import { systemClock } from '../src/clock.js'
import { engineOptionsSchema } from '../src/options.js'
import { SideLook } from '../src/side-look.js'
import { FakeClock } from './fixtures/fake-clock.js'
import { openClient, run } from './fixtures/open-client.js'
import { startPostgres, type TestPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)

function sideLook(url: string, clock = systemClock) {
  const config = clientConfig(url, engineOptionsSchema.parse({}))
  return new SideLook({ config, parameters: {}, clock })
}

function silent(client: Client, bytesSent = 100, forMs = 3000) {
  return { client, bytesSent, forMs }
}

/** Has the client know which server it is on, as a write does. */
async function identify(client: Client): Promise<Client> {
  const evidence = new EvidencePart(undefined)
  await client.run(new Exchange([evidence], () => {}))
  client.server = evidence.server
  return client
}

/** Resolves when the session has waited for a statement for longer than an answer may be under way. */
async function untilIdleForLong(server: TestPostgres, pid: number): Promise<void> {
  const where = "state like 'idle%' and clock_timestamp() - state_change > interval '1.1 s'"
  await server.untilBackends({ pids: [pid], where })
}

t.test('a statement that the server works on is slow', async t => {
  const client = await openClient(t, postgres.url)
  const slow = run(client, "select pg_sleep(60), 'slow'")
  await postgres.untilBackends({ pids: [client.pid], where: "query like '%slow%'" })
  t.same(await sideLook(postgres.url).look([silent(client)]), { isServerGone: false, lost: [] })
  await Promise.all([postgres.terminateBackends(), t.rejects(slow)])
})

t.test('a session that has waited for a statement for long has lost its way to us', async t => {
  const idle = await openClient(t, postgres.url)
  const inTransaction = await openClient(t, postgres.url)
  await run(inTransaction, 'begin')
  const failed = await openClient(t, postgres.url)
  await run(failed, 'begin')
  await run(failed, 'select 1/0').catch(() => {})
  const clients = [idle, inTransaction, failed]
  for (const { pid } of clients) await untilIdleForLong(postgres, pid)
  const { lost, isServerGone } = await sideLook(postgres.url).look(clients.map(c => silent(c)))
  t.same(lost, clients)
  t.equal(isServerGone, false)

  const large = silent(idle, 100_000_000)
  const { lost: spared } = await sideLook(postgres.url).look([large])
  t.same(spared, [], 'it may wait for the rest of a large request')
  const forHours = silent(idle, 100_000_000, 10_000_000)
  t.same(
    (await sideLook(postgres.url).look([forHours])).lost,
    [idle],
    'not for as long as it likes'
  )
})

t.test(
  'so has one that waits for the rest of a statement, unless it is in other hands',
  async t => {
    const ours = await openClient(t, postgres.url)
    const exposed = await openClient(t, postgres.url)
    exposed.expose()
    for (const { pid, raw } of [ours, exposed]) {
      const wire = raw.connection as unknown as Wire
      wire.parse({ text: 'select 1' })
      await postgres.untilBackends({
        pids: [pid],
        where: `state = 'active' and wait_event = 'ClientRead'
        and clock_timestamp() - state_change > interval '1.1 s'`
      })
    }
    const { lost } = await sideLook(postgres.url).look([silent(ours), silent(exposed)])
    t.same(lost, [ours], 'a cursor waits for whoever reads it')
  }
)

t.test('one that has only just become idle is spared: its answer may be under way', async t => {
  const client = await openClient(t, postgres.url)
  await run(client, 'select 1')
  t.same((await sideLook(postgres.url).look([silent(client)])).lost, [])
})

t.test('behind something in between, a session is known by its server', async t => {
  const proxy = await startProxy(t, postgres)
  const unknown = await openClient(t, proxy.url(postgres.url))
  const known = await identify(await openClient(t, proxy.url(postgres.url)))
  for (const { pid } of [unknown, known]) await untilIdleForLong(postgres, pid)
  const { lost } = await sideLook(proxy.url(postgres.url)).look([silent(unknown), silent(known)])
  t.same(lost, [known], 'several servers may be behind one address')
})

t.test('a session that does not exist any more is lost, on a server that is known', async t => {
  const proxy = await startProxy(t, postgres)
  const unknown = await openClient(t, proxy.url(postgres.url))
  const known = await identify(await openClient(t, proxy.url(postgres.url)))
  for (const connection of proxy.connections()) connection.freeze()
  const pids = [unknown.pid, known.pid]
  await postgres.terminateBackends({ pids })
  const { lost } = await sideLook(proxy.url(postgres.url)).look([silent(unknown), silent(known)])
  t.same(lost, [known])
})

t.test('a pooler gives process ids of its own making: they prove nothing', async t => {
  const client = await identify(await openClient(t, postgres.url))
  await untilIdleForLong(postgres, client.pid)
  const proxy = await startProxy(t, postgres)
  proxy.onConnection(connection => {
    connection.toClient.handler = (chunk, forward) => {
      const at = chunk.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]))
      if (at >= 0) chunk.writeInt32BE(4711, at + 5)
      forward(chunk)
    }
  })
  // A socket that says it is connected to the pooler.
  Object.defineProperty(client.raw.connection.stream, 'remotePort', { value: proxy.port })
  const { lost } = await sideLook(postgres.url).look([silent(client)])
  t.same(lost, [])
  t.equal(proxy.connects, 1)
})

t.test('nobody answers at the address: the server is gone', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  proxy.refuse()
  t.match(await sideLook(postgres.url).look([silent(client)]), { isServerGone: true })

  for (const direction of ['both', 'toServer', 'toClient'] as const) {
    const proxy = await startProxy(t, postgres)
    const client = await openClient(t, proxy.url(postgres.url))
    proxy.freeze(direction)
    const finding = await sideLook(postgres.url).look([silent(client)])
    t.match(finding, { isServerGone: true, lost: [] }, direction)
  }
})

t.test('a server that is stopped in its tracks is gone', async t => {
  const postgres = await startPostgres(t)
  const client = await openClient(t, postgres.url)
  const { pid } = postgres.server
  postgres.freeze(pid!)
  t.match(await sideLook(postgres.url).look([silent(client)]), { isServerGone: true })
  postgres.thaw(pid!)
})

t.test('a server that refuses is there, and so is one that answers too late', async t => {
  const client = await openClient(t, postgres.url)
  const wrong = new URL(postgres.url)
  wrong.password = 'wrong'
  t.match(await sideLook(wrong.href).look([silent(client)]), { isServerGone: false })

  const proxy = await startProxy(t, postgres)
  const behind = await openClient(t, proxy.url(postgres.url))
  proxy.onConnection(connection => {
    connection.toClient.handler = (chunk, forward) => {
      forward(chunk)
      connection.freeze('toClient')
    }
  })
  t.match(await sideLook(postgres.url).look([silent(behind)]), { isServerGone: false })
})

t.test('a name that cannot be resolved says nothing of the server', async t => {
  const client = await openClient(t, postgres.url)
  Object.defineProperty(client.raw.connection.stream, 'remoteAddress', { value: undefined })
  const url = new URL(postgres.url)
  url.hostname = 'nowhere.invalid'
  t.match(await sideLook(url.href).look([silent(client)]), { isServerGone: false })
})

t.test('nothing is left behind by a look, whatever it finds', async t => {
  const clock = new FakeClock()
  const client = await openClient(t, postgres.url)
  await sideLook(postgres.url, clock).look([silent(client)])
  t.equal(clock.pending.foreground, 0)
  while ((await postgres.backends()).length > 1);
  t.same(
    (await postgres.backends()).map(({ pid }) => pid),
    [client.pid]
  )
})
