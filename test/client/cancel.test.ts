import net from 'node:net'
import t from 'tap'
import { sendCancel } from '../../src/client/cancel.js'
import { systemClock } from '../../src/clock.js'
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
