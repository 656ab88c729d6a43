import { PingTimeoutError } from '../../src/session-errors.js'
import type { Books } from './books.js'
import type { ClientServer, SimulatedClient } from './client.js'
import { notePingOfClosed } from './closing.js'
import { type Fates, SimulatedError } from './fates.js'
import { offer } from './handout.js'
import type { UnderWay } from './under-way.js'

/** How long the reset of a client may take; `Client` has a limit as well. */
const RESET_TIMEOUT = 500

/** The server's end of each session: it answers pings, resets and goodbyes, or does not. */
export class Sessions implements ClientServer {
  readonly #books: Books
  readonly #fates: Fates
  readonly #underWay: UnderWay

  constructor(books: Books, fates: Fates, underWay: UnderWay) {
    this.#books = books
    this.#fates = fates
    this.#underWay = underWay
  }

  ping(client: SimulatedClient, timeout: number): Promise<void> {
    const books = this.#books
    const { outcome, delay } = this.#fates.ping()
    books.counts.pings += 1
    if (timeout !== books.options.pool.pingTimeout) {
      books.violate('nobody waits past the deadline', `a ping may take ${timeout}`)
    }
    const booking = offer(books, client, 'ping')
    if (booking) booking.isWatched = true
    client.state = 'verifying'
    const isSilent = outcome === 'hangs' || delay >= timeout
    const ping = this.#ask(client, isSilent ? timeout : delay, () => {
      if (isSilent) return new PingTimeoutError(timeout)
      if (outcome === 'ok') return undefined
      if (outcome === 'misjudged') return new SimulatedError('ping misjudged', 'statement', 'none')
      const scope = outcome === 'fails' ? 'client' : 'generation'
      return new SimulatedError('ping failed', 'disconnect', scope)
    })
    ping.then(
      () => this.#notePingOk(client),
      error => this.#notePingFailed(client, error)
    )
    return ping
  }

  reset(client: SimulatedClient): Promise<void> | undefined {
    const books = this.#books
    const { outcome, delay } = this.#fates.reset()
    if (client.state !== 'returning') {
      books.violate('a client has one borrower', `client ${client.number} reset: ${client.state}`)
    }
    if (outcome === 'none') {
      books.took('reset: nothing to do')
      return undefined
    }
    client.state = 'resetting'
    client.stage = 'none'
    const reset = this.#ask(client, outcome === 'hangs' ? RESET_TIMEOUT : delay, () =>
      outcome === 'ok' ? undefined : new SimulatedError('reset failed', 'disconnect', 'client')
    )
    reset.then(
      () => this.#noteResetOk(client),
      error => this.#noteResetFailed(client, error)
    )
    return reset
  }

  close(client: SimulatedClient): Promise<void> {
    const books = this.#books
    if (client.state !== 'closing') {
      const detail = `client ${client.number} is ${client.state}`
      books.violate('a client is closed exactly once', detail)
    }
    client.state = 'closed'
    const error = new SimulatedError('closed', 'disconnect', 'client')
    client.lost ??= error
    client.interrupt?.(error)
    const isPools = !client.isDetached
    if (isPools) books.closesUnderWay += 1
    return new Promise(resolve => {
      this.#underWay.add(this.#fates.closeDelay(), () => {
        if (isPools) books.closesUnderWay -= 1
        resolve()
      })
    })
  }

  /** A promise of the answer, which comes after `delay`; the loss of the session may come before. */
  #ask(client: SimulatedClient, delay: number, answer: () => unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error: unknown) => {
        if (client.interrupt !== end) return
        client.interrupt = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      client.interrupt = end
      this.#underWay.add(delay, () => end(answer()), client)
    })
  }

  #notePingOk(client: SimulatedClient): void {
    const books = this.#books
    books.trigger(client)
    const { claimant } = client
    client.heardAt = books.clock.now()
    if (client.state === 'closed') {
      if (claimant) notePingOfClosed(books, claimant, undefined)
      return
    }
    books.putIdle(client)
    client.stage = 'verified'
    if (claimant?.state === 'gone') books.took('ping ok: borrower has left')
  }

  #notePingFailed(client: SimulatedClient, error: unknown): void {
    const books = this.#books
    const { claimant } = client
    books.trigger(client)
    books.counts.pingFailures += 1
    if (client.state === 'closed') {
      if (claimant) notePingOfClosed(books, claimant, error)
      return
    }
    const isSilent = error instanceof PingTimeoutError
    books.faults.add(isSilent ? 'ping timed out' : 'ping failed')
    if (isSilent) books.took('ping timed out: generation doubted')
    books.putIdle(client)
    client.stage = 'pingFailed'
    client.failure = error
    // The client gives itself up, as `Client` does.
    client.lose(error)
  }

  #noteResetOk(client: SimulatedClient): void {
    const books = this.#books
    books.trigger(client)
    books.took('reset: ok')
    if (client.state === 'closed') return
    client.heardAt = books.clock.now()
    client.state = 'returning'
    client.stage = 'resetDone'
  }

  #noteResetFailed(client: SimulatedClient, error: unknown): void {
    const books = this.#books
    books.trigger(client)
    books.faults.add('reset failed')
    if (client.state === 'closed') return
    client.state = 'returning'
    client.stage = 'resetFailed'
    client.failure = error
  }
}
