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
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const all = Array.from({ length: connections }, () => new Connection(port, request))
  await Promise.all(all.map(connection => connection.open()))
  const start = performance.now()
  const end = start + seconds * 1000
  const isOver = (sent: number, now: number) => sent >= requests || now >= end
  const onAnswered = (milliseconds: number) => {
    histogram.record(Math.max(1, Math.round(milliseconds * 1000)))
  }
  await Promise.all(all.map(connection => connection.run(isOver, onAnswered)))
  const duration = (performance.now() - start) / 1000
  return {
    requests: histogram.count,
    perSecond: histogram.count / duration,
    p50: histogram.percentile(50) / 1000,
    p99: histogram.percentile(99) / 1000
  }
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = Buffer.from('content-length: ')
const OK = Buffer.from('HTTP/1.1 200')
const BUFFER_SIZE = 65_536

/** One keep-alive connection: the same request over and over, without a promise or a string for each. */
class Connection {
  readonly #port: number
  readonly #request: Buffer
  readonly #buffer = Buffer.allocUnsafe(BUFFER_SIZE)
  #socket: Socket | undefined
  /** Bytes of the answer that have not come yet; nothing before its head has come. */
  #missing: number | undefined
  #onAnswer: () => void = () => {}
  #onFailed: (error: Error) => void = () => {}
  /** What came of a head. */
  #head = Buffer.alloc(0)

  constructor(port: number, request: Buffer) {
    this.#port = port
    this.#request = request
  }

  async open(): Promise<void> {
    const onread = {
      buffer: this.#buffer,
      callback: (size: number) => {
        this.#read(this.#buffer.subarray(0, size))
        return true
      }
    }
    this.#socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true, onread })
    await once(this.#socket, 'connect')
  }

  /** @throws {Error} an answer is not 200, or the connection ends */
  async run(
    isOver: (sent: number, now: number) => boolean,
    onAnswered: (milliseconds: number) => void
  ): Promise<void> {
    const socket = this.#socket
    if (socket === undefined) throw new Error('Expected the connection to be open')
    await new Promise<void>((resolve, reject) => {
      let sent = 0
      let sentAt = performance.now()
      const send = () => {
        if (isOver(sent, sentAt)) return resolve()
        sent += 1
        socket.write(this.#request)
      }
      this.#onFailed = reject
      this.#onAnswer = () => {
        const now = performance.now()
        onAnswered(now - sentAt)
        sentAt = now
        send()
      }
      socket.once('error', reject)
      socket.once('close', () => reject(new Error('The server closed the connection')))
      send()
    })
    socket.destroy()
  }

  #read(chunk: Buffer): void {
    if (this.#missing === undefined) {
      const answer = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk])
      const size = sizeOf(answer)
      if (size === undefined) {
        this.#head = Buffer.from(answer)
        return
      }
      if (!answer.subarray(0, OK.length).equals(OK)) {
        this.#onFailed(new Error(`Expected 200, got ${answer.toString()}`))
        return
      }
      this.#head = Buffer.alloc(0)
      this.#missing = size - answer.length
    } else {
      this.#missing -= chunk.length
    }
    if (this.#missing > 0) return
    this.#missing = undefined
    this.#onAnswer()
  }
}

/** Bytes of an answer, head and body; nothing if its head is not complete. */
function sizeOf(answer: Buffer): number | undefined {
  const head = answer.indexOf(END_OF_HEAD)
  if (head < 0) return undefined
  const length = answer.indexOf(CONTENT_LENGTH)
  if (length < 0 || length > head) throw new Error(`Expected a length, got ${answer.toString()}`)
  return head + END_OF_HEAD.length + lengthAt(answer, length + CONTENT_LENGTH.length)
}

const ZERO = 48
const NINE = 57

function lengthAt(answer: Buffer, start: number): number {
  let length = 0
  for (let at = start; ; at += 1) {
    const digit = answer[at]
    if (digit === undefined || digit < ZERO || digit > NINE) return length
    length = length * 10 + digit - ZERO
  }
}
