import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { freePort } from '../example-app/free-port.js'
import { startProxy, type TestProxy } from './fixtures/proxy.js'
import type { ProxyConnection } from './fixtures/proxy-connection.js'

t.test('passes everything on, and each end by itself', async t => {
  const { proxy, client } = await startEcho(t)
  const long = Buffer.alloc(3_000_000, 'abc')
  const echo = read(client, long.length)
  client.end(long)
  t.ok((await echo).equals(long), 'also what comes after our own end')
  t.strictSame(proxy.bytes, { toServer: long.length, toClient: long.length })
})

for (const how of ['fin', 'rst'] as const) {
  t.test(`cuts by ${how}, after all that was passed on`, async t => {
    const { proxy, client, connection } = await startEcho(t)
    const end = how === 'fin' ? once(client, 'end') : once(client, 'error')
    const lastWords = read(client, 10)
    connection.toClient.forward(Buffer.from('last words'))
    connection.cut(how)
    t.equal(String(await lastWords), 'last words')
    t.match(await end, how === 'fin' ? [] : [{ code: 'ECONNRESET' }])
    await Promise.all([isClosed(connection.client), isClosed(connection.server!)])
    t.strictSame(proxy.connections(), [])
  })
}

t.test('holds back bytes while frozen', async t => {
  const { proxy, client, connection, sockets } = await startEcho(t)
  const { client: free } = await open(t, proxy)
  connection.freeze('toServer')
  client.write('a')
  await roundTrip(free, 'overtaking')
  t.equal(sockets[0]!.bytesRead, 0)
  connection.freeze('toClient')
  connection.thaw('toServer')
  await once(sockets[0]!, 'data')
  await roundTrip(free, 'overtaking')
  t.equal(client.bytesRead, 0)
  const held = read(client, 1)
  connection.thaw()
  t.equal(String(await held), 'a')
})

t.test('holds back the end of a connection while frozen', async t => {
  const { proxy, client, connection, sockets } = await startEcho(t)
  await roundTrip(client, 'a')
  proxy.freeze()
  sockets[0]!.resetAndDestroy()
  await isClosed(connection.server!)
  t.equal(connection.client.destroyed, false)
  const lost = once(client, 'error')
  proxy.thaw()
  t.match(await lost, [{ code: 'ECONNRESET' }])
})

t.test('stalls a source that writes into a frozen connection', async t => {
  const { client, connection } = await startEcho(t)
  connection.freeze()
  const long = Buffer.alloc(20_000_000)
  client.write(long)
  await once(connection.client, 'pause')
  t.ok(connection.client.bytesRead < long.length)
  const echo = read(client, long.length)
  connection.thaw()
  t.equal((await echo).length, long.length)
})

t.test('a fault holds for later connections as well', async t => {
  const { proxy, client } = await startEcho(t)
  proxy.freeze('toClient')
  const { client: later, connection } = await open(t, proxy)
  const echoes = [roundTrip(client, 'a'), roundTrip(later, 'b')]
  connection.thaw()
  t.equal(await Promise.race(echoes), 'b')
  proxy.thaw()
  t.equal(await echoes[0], 'a')
})

t.test('refuses, is a black hole, and accepts again', async t => {
  const { proxy, client } = await startEcho(t)
  proxy.refuse()
  await t.rejects(once(connect(proxy.port, proxy.host), 'connect'), { code: 'ECONNREFUSED' })
  t.equal(await roundTrip(client, 'still here'), 'still here')

  await proxy.blackhole()
  const { client: lost } = await open(t, proxy)
  lost.write('hello?')
  t.equal(await roundTrip(client, 'still here'), 'still here')

  await proxy.accept()
  t.equal(await roundTrip((await open(t, proxy)).client, 'back'), 'back')
  t.equal(lost.bytesRead, 0)
  t.equal(proxy.connects, 3)
  t.equal(proxy.connections().length, 3)
})

t.test('delays, and keeps the order', async t => {
  const { proxy, client, connection } = await startEcho(t)
  const { client: free } = await open(t, proxy)
  connection.delay(1_000_000, 'toClient')
  const slow = read(client, 6)
  client.write('abc')
  await roundTrip(free, 'overtaking')
  client.write('def')
  await roundTrip(free, 'overtaking')
  t.equal(client.bytesRead, 0)
  connection.delay(1)
  t.equal(String(await slow), 'abcdef')
})

t.test('lets a handler decide, message by message', async t => {
  const { proxy, client, connection } = await startEcho(t)
  connection.toServer.handler = (chunk, forward) => {
    for (const byte of chunk) {
      if (byte === '!'.charCodeAt(0)) return connection.cut('rst')
      forward(Buffer.of(byte))
    }
  }
  t.equal(await roundTrip(client, 'abc'), 'abc')
  const lost = once(client, 'error')
  client.write('de!f')
  t.match(await lost, [{ code: 'ECONNRESET' }])
  t.equal(proxy.bytes.toServer, 5)
})

t.test('resets what it cannot connect, and can lead to another server', async t => {
  const { proxy } = await startEcho(t)
  const working = proxy.target
  proxy.target = { host: proxy.host, port: await freePort() }
  const client = connect(proxy.port, proxy.host)
  t.match(await once(client, 'error'), [{ code: 'ECONNRESET' }])
  proxy.target = working
  t.equal(await roundTrip((await open(t, proxy)).client, 'a'), 'a')
})

/** A server that says what it hears, a proxy before it, and one connection through both. */
async function startEcho(t: Test) {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.push(socket)
    socket.on('error', () => {}).pipe(socket)
  })
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const proxy = await startProxy(t, { host: '127.0.0.1', port })
  return { proxy, sockets, ...(await open(t, proxy)) }
}

async function open(t: Test, proxy: TestProxy) {
  const accepted = new Promise<ProxyConnection>(resolve => proxy.onConnection(resolve))
  const client = connect({ port: proxy.port, host: proxy.host, noDelay: true })
  t.teardown(() => client.destroy())
  const connection = await accepted
  if (connection.server?.connecting) await once(connection.server, 'connect')
  return { client, connection }
}

async function roundTrip(socket: Socket, text: string): Promise<string> {
  const echo = read(socket, text.length)
  socket.write(text)
  return String(await echo)
}

function read(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let missing = length
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      chunks.push(chunk)
      missing -= chunk.length
      if (missing > 0) return
      socket.off('data', onData)
      resolve(Buffer.concat(chunks))
    }
    socket.on('data', onData).once('error', reject)
  })
}

function isClosed(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.closed) return resolve()
    socket.once('close', () => resolve())
  })
}
