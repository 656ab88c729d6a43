import { Agent, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'

/** After this the bench gives a request up. */
const PATIENCE_MS = 30_000
/** Before a worker whose server does not even answer tries again. */
const PAUSE_MS = 20

export interface Answer {
  /** The status, `none` if the connection broke or there was none to be had, `hung` if it never came. */
  readonly status: string
  readonly ms: number
  readonly mayRepeat: boolean
  /** The row that it was to insert. */
  readonly id: number | undefined
}

/** So many clients with one request at a time; one in four inserts a row that no other request does. */
export class Load {
  readonly answers: Answer[] = []
  readonly #agent: Agent
  readonly #port: number
  readonly #workers: Promise<void>[]
  #nextId = 1
  #isOver = false

  constructor(port: number, workers: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: workers })
    this.#port = port
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
      const answer = await this.#ask(id, id % 4 === 0)
      this.answers.push(answer)
      if (answer.status === 'none') await pause(PAUSE_MS)
    }
  }

  #ask(id: number, isWrite: boolean): Promise<Answer> {
    const startedAt = performance.now()
    return new Promise(resolve => {
      const settle = (status: string, mayRepeat = false) => {
        clearTimeout(patience)
        const ms = performance.now() - startedAt
        resolve({ status, ms, mayRepeat, id: isWrite ? id : undefined })
      }
      const method = isWrite ? 'POST' : 'GET'
      const path = `/note?id=${id}`
      const asked = request({
        agent: this.#agent,
        port: this.#port,
        host: '127.0.0.1',
        method,
        path
      })
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
}
