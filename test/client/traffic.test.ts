import { Duplex } from 'node:stream'
import t from 'tap'
import { SessionClient } from '../../src/client/config.js'
import { Traffic } from '../../src/client/traffic.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

t.test('a socket tells where it leads to, and what has passed', async t => {
  const postgres = await startPostgres(t)
  const client = await openClient(t, postgres.url)
  const { traffic } = client
  const before = { read: traffic.bytesRead, written: traffic.bytesWritten }
  await run(client, 'select 1')
  t.ok(traffic.bytesRead > before.read)
  t.ok(traffic.bytesWritten > before.written)
  t.same(traffic.endpoint, { host: postgres.host, port: postgres.port })
  t.equal(traffic.address, `${postgres.host} ${postgres.port}`)
  const { rows } = await run(client, 'select inet_client_port() port')
  t.same(rows, [{ port: traffic.localPort }])
})

t.test('a stream of the application tells nothing, and nothing is made of it', t => {
  const stream = new Duplex({ read() {}, write() {} })
  const traffic = new Traffic(new SessionClient({ stream: () => stream }, {}))
  t.equal(traffic.bytesRead, 0)
  t.equal(traffic.bytesWritten, Number.POSITIVE_INFINITY)
  t.equal(traffic.endpoint, undefined)
  t.equal(traffic.address, '')
  t.equal(traffic.localPort, undefined)
  t.end()
})
