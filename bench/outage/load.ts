import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** After this the bench gives a request up. */
const PATIENCE_MS = 40_000
/** Before a worker tries again whose server does not even answer. */
const PAUSE_MS = 20
/** Before one does that was refused: still twenty times sooner than it was told to. */
const REFUSED_PAUSE_MS = 50

export interface Answer {
  /** The status, `none` if the connection broke or there was none to be had, `hung` if it never came. */
  readonly status: string
  readonly ms: number
  /** When it came, in milliseconds, as `Date.now()` has it. */
  readonly at: number
  readonly mayRepeat: boolean
  /** The row that it was to insert. */
  readonly id: number | undefined
}

export interface LoadOptions {
  /** Clients with one request at a time. */
  readonly workers: number
  /** Who is refused pauses before the next request, so that what is measured is not how long the queue of the others is. */
  readonly isPatient?: boolean
  /** What is asked for, with GET and POST. Default: `/note`. */
  readonly path?: string
}

/** One request in four inserts a row that no other request does. */
export class Load {
  readonly answers: Answer[] = []
  readonly #agent: Agent
  readonly #port: number
  readonly #isPatient: boolean
  readonly #path: string
  readonly #workers: Promise<void>[]
  #nextId = 1
  #isOver = false

  constructor(port: number, { workers, isPatient = false, path = '/note' }: LoadOptions) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: workers })
    this.#port = port
    this.#isPatient = isPatient
    this.#path = path
    this.#workers = Array.from({ length: workers }, () => this.#work())
  }

  /** Resolves when the last answer has come. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#workers)
    this.#agent.destroy()
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      const id = this.#nextId++
      const isWrite = id % 4 === 0
      const method = isWrite ? 'POST' : 'GET'
      const reply = await ask(this.#agent, this.#port, method, `${this.#path}?id=${id}`)
      this.answers.push({ ...reply, id: isWrite ? id : undefined })
      if (reply.status === 'none') await pause(jittered(PAUSE_MS))
      if (reply.status === '503' && this.#isPatient) await pause(jittered(REFUSED_PAUSE_MS))
    }
  }
}

/** Half of it to one and a half, so that the workers do not march in step. */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random())
}

export function ask(
  agent: Agent,
  port: number,
  method: string,
  path: string
): Promise<Omit<Answer, 'id'>> {
  const startedAt = performance.now()
  return new Promise(resolve => {
    const settle = (status: string, mayRepeat = false) => {
      clearTimeout(patience)
      resolve({ status, ms: performance.now() - startedAt, at: Date.now(), mayRepeat })
    }
    const asked = request({ agent, port, host: '127.0.0.1', method, path })
    const patience = setTimeout(() => {
      settle('hung')
      asked.destroy()
    }, PATIENCE_MS)
    asked.on('error', () => settle('none'))
    asked.on('response', response => {
      const { headers, statusCode } = response
      response.on('error', () => settle('none'))
      response.on('end', () => settle(String(statusCode), 'retry-after' in headers)).resume()
    })
    asked.end()
  })
}
