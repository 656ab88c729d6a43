import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sendCancel } from '../../src/client/cancel.js'
import { systemClock } from '../../src/clock.js'
import { startEncrypted } from '../fixtures/encrypted.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

const postgres = await startPostgres(t)
const SLEEP = "select pg_sleep(60), 'asleep'"
const asleep = { where: "query like '%asleep%' and state = 'active'" }
const AMPLE_MS = 30_000

t.test('the server cancels what the session runs', async t => {
  const client = await openClient(t, postgres.url)
  const running = t.rejects(run(client, SLEEP), { code: '57014' })
  await postgres.untilBackends(asleep)
  await sendCancel(client.raw, systemClock, AMPLE_MS)
  await running
})

t.test('it takes 16 bytes and no login', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  const before = proxy.bytes.toServer
  await sendCancel(client.raw, systemClock, AMPLE_MS)
  t.equal(proxy.bytes.toServer - before, 16)
})

t.test('also over a stream that connect_args makes', async t => {
  let streams = 0
  const stream = () => {
    streams += 1
    return new net.Socket()
  }
  const client = await openClient(t, postgres.url, { config: { stream } })
  await sendCancel(client.raw, systemClock, AMPLE_MS)
  t.equal(streams, 2)
})

t.test('a socket that fails, or is not closed in time, tells nothing', async t => {
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url))
  await proxy.blackhole()
  await t.rejects(sendCancel(client.raw, systemClock, 1), { name: 'CancelError' })
  proxy.refuse()
  const refused = sendCancel(client.raw, systemClock, AMPLE_MS)
  await t.rejects(refused, { name: 'CancelError', cause: { code: 'ECONNREFUSED' } })
})

/** What a CancelRequest begins with: its length and its code. */
const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e])

t.test('over TLS where the session is: what it says is not to be read on the way', async t => {
  const encrypted = await startEncrypted(t, 'localhost')
  for (const sslnegotiation of ['postgres', 'direct'] as const) {
    const proxy = await startProxy(t, encrypted)
    const sent: Buffer[] = []
    proxy.onConnection(({ toServer }) => {
      toServer.handler = (chunk, forward) => {
        sent.push(chunk)
        forward(chunk)
      }
    })
    const config = { ssl: { rejectUnauthorized: false }, sslnegotiation }
    const client = await openClient(t, proxy.url(encrypted.url), { config })
    const running = t.rejects(run(client, SLEEP), { code: '57014' })
    await encrypted.untilBackends({
      where: `${asleep.where} and exists (select from pg_stat_ssl s where s.pid = pg_stat_activity.pid and ssl)`
    })
    await sendCancel(client.raw, systemClock, AMPLE_MS)
    await running
    t.equal(proxy.connects, 2)
    t.notOk(Buffer.concat(sent).includes(CANCEL_REQUEST))
  }
})

t.test('over a Unix socket where the session is', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'cancel-'))
  t.teardown(() => rm(folder, { recursive: true }))
  let connects = 0
  const relay = net.createServer(client => {
    connects += 1
    const server = net.connect(postgres.port, postgres.host)
    client.pipe(server).pipe(client)
  })
  relay.listen(join(folder, '.s.PGSQL.5433'))
  await once(relay, 'listening')
  t.teardown(() => relay.close())
  const url = new URL(postgres.url)
  url.port = '5433'
  url.searchParams.set('host', folder)
  const client = await openClient(t, url.href)
  const running = t.rejects(run(client, SLEEP), { code: '57014' })
  await postgres.untilBackends(asleep)
  await sendCancel(client.raw, systemClock, AMPLE_MS)
  await running
  t.equal(connects, 2)
})
