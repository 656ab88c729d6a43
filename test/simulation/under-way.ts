import type { SimulatedClient } from './client.js'
import type { SimulatedClock } from './clock.js'

/** Something the server was asked for and has not answered. */
export interface Request {
  /** Who asked; none for one that connects. */
  readonly client: SimulatedClient | undefined
  /** The answer comes now. */
  answer(): void
}

/** All that the server has not answered yet: it answers when its time has come, or when the schedule says so. */
export class UnderWay {
  readonly #clock: SimulatedClock
  readonly #requests: Request[] = []

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#requests.length
  }

  /** Lets `answer` happen once, after `delay` milliseconds at the latest. */
  add(delay: number, answer: () => void, client?: SimulatedClient): void {
    const request: Request = {
      client,
      answer: () => {
        if (this.#remove(request)) answer()
      }
    }
    if (delay === 0) {
      answer()
      return
    }
    this.#requests.push(request)
    this.#clock.after(delay, request.answer)
  }

  /** The `n`th answer comes now; who gets it. */
  answer(n: number): SimulatedClient | undefined {
    const request = this.#requests[n]
    request?.answer()
    return request?.client
  }

  #remove(request: Request): boolean {
    const index = this.#requests.indexOf(request)
    if (index === -1) return false
    this.#requests.splice(index, 1)
    return true
  }
}
