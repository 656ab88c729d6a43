import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createHistogram, performance } from 'node:perf_hooks'

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** When to stop: after a time, or after a number of requests on each connection. */
export interface LoadUntil {
  readonly seconds?: number
  readonly requests?: number
}

/** As many keep-alive connections, each with one GET at a time: as little work here as possible, the CPU is the server's. */
export async function load(
  port: number,
  path: string,
  connections: number,
  { seconds = Number.POSITIVE_INFINITY, requests = Number.POSITIVE_INFINITY }: LoadUntil
): Promise<LoadResult> {
  const histogram = createHistogram()
  const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const start = performance.now()
  const end = start + seconds * 1000
  const work = sockets.map(async socket => {
    for (let sent = 0; sent < requests && performance.now() < end; sent += 1) {
      const sentAt = performance.now()
      await exchange(socket, request)
      histogram.record(Math.max(1, Math.round((performance.now() - sentAt) * 1000)))
    }
    socket.destroy()
  })
  await Promise.all(work)
  const duration = (performance.now() - start) / 1000
  return {
    requests: histogram.count,
    perSecond: histogram.count / duration,
    p50: histogram.percentile(50) / 1000,
    p99: histogram.percentile(99) / 1000
  }
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  socket.setEncoding('latin1')
  return socket
}

function exchange(socket: Socket, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const onData = (chunk: string) => {
      answer += chunk
      if (!isComplete(answer)) return
      socket.off('data', onData)
      if (answer.startsWith('HTTP/1.1 200')) resolve()
      else reject(new Error(`Expected 200, got ${answer}`))
    }
    socket.on('data', onData)
    socket.write(request)
  })
}

function isComplete(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /content-length: (\d+)/i.exec(answer)?.[1]
  return answer.length >= head + 4 + Number(length)
}
