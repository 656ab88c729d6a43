import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface WireCounts {
  roundTrips: number
  bytesToServer: number
  bytesToClient: number
}

/**
 * Between a server and PostgreSQL, in a process of its own: counts what passes, and holds answers back as if the
 * network were slow. All of the delay is on the way back, so that one timer makes one round trip. It says where it
 * listens; a message tells the delay in milliseconds, and is answered with the counts since the last one.
 */
const port = Number(process.argv[2])
let delay = 0
let counts: WireCounts = { roundTrips: 0, bytesToServer: 0, bytesToClient: 0 }

const listener = createServer({ noDelay: true }, client => {
  const server = connect({ host: '127.0.0.1', port, noDelay: true })
  let isAnswered = true
  client.on('data', chunk => {
    // What is sent before anything comes back is one trip with what was sent before it.
    if (isAnswered) counts.roundTrips += 1
    isAnswered = false
    counts.bytesToServer += chunk.length
    server.write(chunk)
  })
  server.on('data', chunk => {
    isAnswered = true
    counts.bytesToClient += chunk.length
    if (delay === 0) client.write(chunk)
    else setTimeout(() => client.write(chunk), delay)
  })
  endTogether(client, server)
})

function endTogether(client: Socket, server: Socket): void {
  client.on('error', () => {}).on('close', () => server.destroy())
  server.on('error', () => {}).on('close', () => client.destroy())
}

listener.listen(0, '127.0.0.1')
await once(listener, 'listening')
process.send?.((listener.address() as AddressInfo).port)
process.on('message', (ms: number) => {
  delay = ms
  process.send?.(counts)
  counts = { roundTrips: 0, bytesToServer: 0, bytesToClient: 0 }
})
process.on('disconnect', () => process.exit())
