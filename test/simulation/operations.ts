import type { World } from './world.js'

/** What can be done in a world. */
export const KINDS = [
  'checkout',
  'rush',
  'crowd',
  'tryCheckout',
  'abort',
  'giveBack',
  'giveBackBroken',
  'giveBackTwice',
  'putBack',
  'detach',
  'soften',
  'killIdle',
  'killBusy',
  'answer',
  'answerAndKill',
  'invalidate',
  'invalidateLate',
  'advance',
  'advanceToTimer',
  'stall',
  'closeAgain'
] as const

export type Kind = (typeof KINDS)[number]

/** One step of a schedule: plain data, so that it can be drawn, written down and shrunk. */
export interface Operation {
  readonly kind: Kind
  /** Which of those that it can be done to, and how; whole numbers, taken modulo what there is. */
  readonly a: number
  readonly b: number
  /** Turns of the microtask queue before the next step; {@link QUIET}: all that there are. */
  readonly turns: number
}

export const QUIET = 4

/** More than any pool here has places, and enough to show how fast they are served. */
const CROWD = 30

const PERIODS = [1, 3, 10, 25, 50, 100, 100, 200, 300, 500, 500, 1000]
const DEADLINES = [1, 10, 50, 100, 200, 400, 1000, -5]

/** Does the step, if there is something to be done; time passes elsewhere. */
export function perform(world: World, { kind, a, b }: Operation): boolean {
  switch (kind) {
    case 'checkout':
      checkout(world, a, b)
      return true
    case 'rush':
      for (let n = a % 3; n >= 0; n -= 1) checkout(world, a + n, b + n)
      if (b % 3 === 0) to(abortable(world).slice(-1), 0, booking => world.checkouts.abort(booking))
      return true
    case 'crowd':
      for (let n = CROWD + (a % 8); n >= 0; n -= 1) world.checkouts.checkout({})
      return true
    case 'tryCheckout':
      world.loans.tryCheckout()
      return true
    case 'abort':
      return to(abortable(world), a, booking => world.checkouts.abort(booking))
    case 'giveBack':
      return to(world.loans.lent, a, loan => {
        if (b % 3 > 0) loan.client.heardAt = world.clock.now()
        world.loans.giveBack(loan)
      })
    case 'giveBackBroken':
      return to(world.loans.lent, a, loan => world.loans.giveBack(loan, b % 2 ? 'error' : 'user'))
    case 'giveBackTwice':
      return to(world.loans.returned.slice(-4), a, loan => world.loans.giveBack(loan))
    case 'putBack':
      return to(tried(world), a, loan => {
        if (b % 3 > 0) loan.client.heardAt = world.clock.now()
        world.loans.putBack(loan)
      })
    case 'detach':
      return to(b % 4 ? world.loans.lent : world.loans.returned.slice(-4), a, loan =>
        world.loans.detach(loan)
      )
    case 'soften':
      return to(b % 4 ? world.loans.lent : world.loans.returned.slice(-4), a, loan =>
        world.loans.soften(loan)
      )
    case 'killIdle':
      return to(killable(world, true), a, client => world.kill(client))
    case 'killBusy':
      return to(killable(world, false), a, client => world.kill(client))
    case 'answer':
      if (world.underWay.size === 0) return false
      world.underWay.answer(a % world.underWay.size)
      return true
    case 'answerAndKill': {
      // The answer is on its way when the session ends: whoever waits for it finds a lost client.
      const client = world.underWay.answer(a % world.underWay.size)
      if (client?.lost === undefined && client) world.kill(client)
      return client !== undefined
    }
    case 'invalidate':
      world.invalidate(world.books.generation, b % 2 ? 'generation' : 'user')
      return true
    case 'invalidateLate':
      return to(world.loans.lent, a, loan => world.invalidate(loan.lease.generation, 'generation'))
    case 'closeAgain':
      if (!world.books.isClosed) return false
      world.close()
      return true
    case 'advance':
    case 'advanceToTimer':
    case 'stall':
      return false
  }
}

/** How long time passes in the step; none for a step in which it does not. */
export function periodOf({ clock }: World, { kind, a, b }: Operation): number | undefined {
  const period = PERIODS[a % PERIODS.length] ?? 0
  if (kind === 'advance' || kind === 'stall') return period
  if (kind !== 'advanceToTimer') return undefined
  if (!Number.isFinite(clock.nextAt)) return period
  const early = b % 3 === 0 ? 0.5 : 0
  return Math.max(0, clock.nextAt - clock.now() - early)
}

function checkout(world: World, a: number, b: number): void {
  const deadline = DEADLINES[b % 24]
  world.checkouts.checkout({
    hasSignal: a % 3 === 0,
    isAborted: a % 60 === 0,
    deadline: deadline === undefined ? undefined : world.clock.now() + deadline
  })
}

function abortable({ checkouts }: World) {
  return checkouts.pending.filter(({ controller }) => controller && !controller.signal.aborted)
}

function tried({ loans }: World) {
  return loans.lent.filter(({ isDetached, isTried }) => isTried && !isDetached)
}

function killable({ books }: World, isIdle: boolean) {
  return books.open.filter(
    client => (client.state === 'idle') === isIdle && client.lost === undefined
  )
}

function to<T>(targets: readonly T[], n: number, act: (target: T) => void): boolean {
  const target = targets[n % targets.length]
  if (target === undefined) return false
  act(target)
  return true
}
