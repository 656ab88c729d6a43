import type { Failure, Scope, Verdict } from '../../src/disconnect.js'
import { PingTimeoutError } from '../../src/session-errors.js'
import { type FaultRates, NO_FAULTS } from './options.js'
import { draw } from './random.js'

/** An error of the simulated server or driver, with what it means written on it. */
export class SimulatedError extends Error {
  readonly verdict: Verdict

  constructor(message: string, failure: Failure, scope: Scope, isCutShort = false) {
    super(message)
    this.verdict = isCutShort ? { failure, scope, isCutShort } : { failure, scope }
  }
}

export function verdictOf(error: unknown): Verdict {
  if (error instanceof SimulatedError) return error.verdict
  if (error instanceof PingTimeoutError) return { failure: 'disconnect', scope: 'client' }
  return { failure: 'statement', scope: 'none' }
}

/** What becomes of something that was asked of the server, and after how many milliseconds; 0: at once. */
export interface Fate<Outcome extends string> {
  readonly outcome: Outcome
  readonly delay: number
}

export type ConnectOutcome = 'ok' | 'fails' | 'hangs' | 'dead'
export type PingOutcome = 'ok' | 'fails' | 'hangs' | 'misjudged' | 'generation'
export type ResetOutcome = 'none' | 'ok' | 'fails' | 'hangs'
export type ListenerOutcome = 'ok' | 'disconnect' | 'throws' | 'aborts' | 'abortsAndThrows'

/** What a connect fails with; `cut short` is to be unavailable, and no more than a hint. */
export type Refusal = 'unavailable' | 'too_many_connections' | 'misconfigured' | 'cut short'

/** Of the connects that find nobody, by the further digits of what was drawn. */
const CUT_SHORT = { digits: 1000, part: 0.3 }
const DELAYS = [1, 5, 10, 25, 50, 100, 200, 400]
/** Of each, one stream says what happens, and the next how long it takes. */
const STREAMS = {
  connect: 1,
  ping: 3,
  reset: 5,
  listener: 7,
  close: 9,
  kill: 11,
  meddle: 13,
  refusal: 15
} as const

/** Decides what the server does, by the seed: the `n`th connect always fares the same, whatever happens between. */
export class Fates {
  readonly #seed: number
  #rates: FaultRates
  readonly #counts = {
    connect: 0,
    ping: 0,
    reset: 0,
    listener: 0,
    close: 0,
    kill: 0,
    meddle: 0,
    refusal: 0
  }

  constructor(seed: number, rates: FaultRates) {
    this.#seed = seed
    this.#rates = rates
  }

  /** From now on all is well. */
  heal(): void {
    this.#rates = NO_FAULTS
  }

  connect(): Fate<ConnectOutcome> & { readonly refusal: Refusal } {
    const { connectFails, connectHangs, arrivesDead } = this.#rates
    const at = this.#next('connect')
    const outcome = at < connectFails ? 'fails' : at < connectFails + connectHangs ? 'hangs' : 'ok'
    const isDead = outcome === 'ok' && at > 1 - arrivesDead
    const delay = this.#delay('connect')
    return { outcome: isDead ? 'dead' : outcome, delay, refusal: this.#refusal() }
  }

  ping(): Fate<PingOutcome> {
    const { pingFails, pingHangs, pingMisjudged } = this.#rates
    const at = this.#next('ping')
    const delay = this.#delay('ping')
    if (at < pingFails * 0.9) return { outcome: 'fails', delay }
    if (at < pingFails) return { outcome: 'generation', delay }
    if (at < pingFails + pingHangs) return { outcome: 'hangs', delay }
    return { outcome: at > 1 - pingMisjudged ? 'misjudged' : 'ok', delay }
  }

  reset(): Fate<ResetOutcome> {
    const { resetFails, resetHangs } = this.#rates
    const at = this.#next('reset')
    const delay = this.#delay('reset')
    if (at < resetFails) return { outcome: 'fails', delay }
    if (at < resetFails + resetHangs) return { outcome: 'hangs', delay }
    return { outcome: at > 0.7 ? 'none' : 'ok', delay }
  }

  listener(): ListenerOutcome {
    const at = this.#next('listener')
    const { listenerAborts, listenerThrows } = this.#rates
    if (at > 1 - listenerAborts / 2) return 'aborts'
    if (at > 1 - listenerAborts) return 'abortsAndThrows'
    if (at >= listenerThrows) return 'ok'
    return at < listenerThrows / 2 ? 'disconnect' : 'throws'
  }

  /** Whether a listener has the pool checked just now. */
  listenerPings(): boolean {
    return this.#next('meddle') < this.#rates.listenerPings
  }

  closeDelay(): number {
    this.#next('close')
    return this.#delay('close')
  }

  /** How far the loss of a session reaches, if somebody is told of it by a ping. */
  killScope(): Scope {
    return this.#next('kill') < 0.3 ? 'client' : 'generation'
  }

  /** What a connect fails with, if it does. */
  #refusal(): Refusal {
    const { refusesFull, refusesLogin } = this.#rates
    const at = this.#next('refusal')
    if (at < refusesLogin) return 'misconfigured'
    if (at > 1 - refusesFull) return 'too_many_connections'
    return (at * CUT_SHORT.digits) % 1 < CUT_SHORT.part ? 'cut short' : 'unavailable'
  }

  #next(what: keyof typeof STREAMS): number {
    this.#counts[what] += 1
    return draw(this.#seed, STREAMS[what], this.#counts[what])
  }

  #delay(what: keyof typeof STREAMS): number {
    const at = draw(this.#seed, STREAMS[what] + 1, this.#counts[what])
    const slow = what === 'connect' ? this.#rates.slowConnects : this.#rates.slow
    if (at >= slow) return 0
    return DELAYS[Math.floor((at / slow) * DELAYS.length)] ?? 0
  }
}
