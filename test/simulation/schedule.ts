import { KINDS, type Kind, type Operation, QUIET } from './operations.js'
import { type FaultRates, NO_FAULTS, type WorldOptions } from './options.js'
import type { Random } from './random.js'

/** So many of a crowd that it is known how fast the rest will be. */
const SERVED = 23

/** How often each kind of step is drawn, before a schedule has its own mind about it. */
export const WEIGHTS: Record<Kind, number> = {
  checkout: 36,
  rush: 8,
  crowd: 0.1,
  tryCheckout: 6,
  abort: 10,
  giveBack: 90,
  giveBackBroken: 4,
  giveBackTwice: 2,
  putBack: 14,
  detach: 4,
  soften: 4,
  killIdle: 8,
  killBusy: 8,
  answer: 16,
  answerAndKill: 6,
  invalidate: 1,
  invalidateLate: 4,
  advance: 24,
  advanceToTimer: 12,
  stall: 6,
  closeAgain: 6
}

const TROUBLE: Kind[] = [
  'checkout',
  'advance',
  'killBusy',
  'checkout',
  'giveBackBroken',
  'killIdle',
  'invalidateLate',
  'invalidate'
]
const MOODS = [0.2, 1, 1, 3]
const RATES = [0, 0, 0, 0.05, 0.1, 0.3]
const SHARES = [0, 0.2, 0.5, 0.9]
const PING_RATES = [0, 0, 0.1, 0.3, 0.9]

/** Any world: most are small, since a pool of two has all the troubles of a pool of ten. */
export function drawOptions(random: Random): WorldOptions {
  const { faults, pool, ...rest } = drawAnyOptions(random)
  const theme = random.next()
  if (theme < 0.15)
    return { ...rest, pool: { ...pool, ...IDLE }, faults: { ...faults, ...BRITTLE } }
  if (theme < 0.3) return { ...rest, pool: { ...pool, ...IDLE }, faults: { ...faults, ...SLOW } }
  if (theme < 0.36) {
    return { ...rest, pool: { ...pool, ...LINGERING }, faults: { ...faults, ...CURIOUS } }
  }
  if (theme < 0.42) return { ...rest, pool, faults: { ...faults, ...AWAY } }
  return { ...rest, pool, faults }
}

/** Themes for what takes several idle clients, a moment while one is verified, or much overflow: rare elsewhere. */
const IDLE = { poolSize: 5, isPrePing: true, isNullPool: false, window: 0 }
const BRITTLE = {
  connectFails: 0,
  connectHangs: 0,
  arrivesDead: 0.2,
  pingFails: 0.95,
  slowConnects: 0.95,
  slow: 0.2,
  pingHangs: 0,
  resetFails: 0,
  resetHangs: 0
}
const SLOW = { pingFails: 0, pingHangs: 0, slow: 0.95 }

const LINGERING = { poolSize: 1, maxOverflow: -1, isNullPool: false, idleTimeout: 50, timeout: 200 }
const CURIOUS = { listenerPings: 0.6 }

/** An outage that is not over with the next probe. */
const AWAY = { connectFails: 0.9, refusesLogin: 0.02, refusesFull: 0.1 }

function drawAnyOptions(random: Random): WorldOptions {
  const isNullPool = random.chance(0.03)
  return {
    seed: random.bits(),
    connectTimeout: random.pick([50, 300, 1000]),
    faults: drawFaults(random),
    pool: {
      poolSize: random.pick([0, 1, 2, 2, 3, 3, 4, 5]),
      maxOverflow: random.pick([-1, 0, 0, 0, 0, 1, 2]),
      idleTimeout: random.pick([0, 50, 100, 500]),
      recycle: random.pick([-1, 100, 300, 1000, 5000]),
      recycleJitter: random.pick([0, 0.2, 1]),
      isNullPool,
      isLifo: random.chance(0.6),
      isPrePing: random.chance(0.85),
      window: random.pick([0, 0, 0, 25, 100]),
      pingTimeout: random.pick([20, 100, 1000]),
      timeout: random.pick([0, 50, 200, 1000, 30_000]),
      recoveryTimeout: random.pick([0, 50, 200, 1000, 5000]),
      maxWaiting: random.pick([0, 1, 2, 5, 1000, 1000])
    }
  }
}

/** Draws steps one by one, by weights of its own: schedules that are all alike miss what only extremes show. */
export class Schedule {
  readonly #random: Random
  readonly #weights: number[]
  readonly #sum: number
  readonly #quietness: number

  constructor(random: Random) {
    this.#random = random
    this.#weights = KINDS.map(kind => WEIGHTS[kind] * random.pick(MOODS))
    this.#sum = this.#weights.reduce((sum, weight) => sum + weight, 0)
    this.#quietness = random.pick([0.3, 0.7, 0.95])
  }

  next(): Operation {
    return this.#draw(this.#kind())
  }

  /** For a schedule in which too little has gone wrong yet. */
  trouble(): Operation {
    return this.#draw(this.#random.pick(TROUBLE))
  }

  /** A crowd is served one by one, as fast or slowly as it goes, and then more come, in a hurry or not. */
  crowd(): Operation[] {
    const random = this.#random
    const served = Array.from({ length: SERVED }, () => {
      const period = { kind: 'advance', a: random.below(4), b: 0, turns: QUIET } as const
      return [period, { ...this.#draw('giveBack'), turns: QUIET }]
    })
    const more = Array.from({ length: 18 }, () => this.#draw('checkout'))
    return [{ ...this.#draw('crowd'), turns: QUIET }, ...served.flat(), ...more]
  }

  /** Clients come back and are wanted again, all of it still under way when the next thing happens. */
  rush(): Operation[] {
    const calm: Kind[] = ['giveBack', 'giveBack', 'giveBack', 'advance', 'advance']
    const operations = calm.map(kind => ({ ...this.#draw(kind), turns: QUIET }))
    return [...operations, { ...this.#draw('rush'), turns: this.#random.below(QUIET) }]
  }

  #draw(kind: Kind): Operation {
    const random = this.#random
    const turns = random.chance(this.#quietness) ? QUIET : random.below(QUIET)
    return { kind, a: random.below(1 << 20), b: random.below(1 << 20), turns }
  }

  #kind(): Kind {
    let at = this.#random.next() * this.#sum
    for (const [index, weight] of this.#weights.entries()) {
      at -= weight
      if (at < 0) return KINDS[index] ?? 'checkout'
    }
    return 'checkout'
  }
}

function drawFaults(random: Random): FaultRates {
  const rate = () => random.pick(RATES)
  return {
    ...NO_FAULTS,
    connectFails: rate(),
    connectHangs: rate(),
    refusesLogin: random.pick(SHARES),
    refusesFull: random.pick(SHARES),
    arrivesDead: rate(),
    pingFails: random.pick(PING_RATES),
    pingHangs: random.pick(PING_RATES),
    pingMisjudged: random.pick([0, 0.05, 0.1]),
    resetFails: random.pick([0, 0.05, 0.2]),
    resetHangs: random.pick([0, 0.05, 0.2]),
    listenerThrows: random.pick([0, 0, 0.1]),
    listenerAborts: random.pick([0, 0, 0.2]),
    listenerPings: random.pick([0, 0, 0.3]),
    slowConnects: random.pick([0.2, 0.5, 0.9]),
    slow: random.pick([0.2, 0.5, 0.9])
  }
}
