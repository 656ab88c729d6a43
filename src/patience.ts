import { onAborted } from './abort-listener.js'
import type { Timer } from './clock.js'
import { DeadlineError } from './errors.js'
import { afterLoopTime } from './loop-time.js'
import type { StopClock, StopSign } from './stop-sign.js'

/** Enough for a server that is there to have something cancelled, and to say what became of it; of our own loop's time. */
export const GRACE_MS = 100

type Signals = readonly AbortSignal[] | undefined

/**
 * How long an answer is waited for when its time is up: what was cancelled says what became of it, but a server that
 * has fallen silent says nothing, and a COMMIT is not cancelled. Whoever waits goes on without.
 */
export class Patience {
  readonly #clock: StopClock
  readonly #stop: Pick<StopSign, 'deadline'>

  constructor(clock: StopClock, stop: Pick<StopSign, 'deadline'>) {
    this.#clock = clock
    this.#stop = stop
  }

  isLimited(signals: Signals): boolean {
    return signals !== undefined || this.#stop.deadline !== undefined
  }

  /**
   * Waits for work that is cancelled when its time is up.
   *
   * @throws what the work does, or what `leave` makes of the reason for which nobody waits any more
   */
  async wait<Result>(
    work: Promise<Result>,
    signals: Signals,
    leave: (reason: unknown) => unknown
  ): Promise<Result> {
    const callOffs: (() => void)[] = []
    const late = new Promise<never>((_resolve, reject) => {
      const onLate = (reason: unknown) => reject(leave(reason))
      callOffs.push(this.#atDeadline(onLate), this.#whenAborted(signals, onLate))
    })
    try {
      return await Promise.race([work, late])
    } finally {
      for (const callOff of callOffs) callOff()
    }
  }

  #atDeadline(onLate: (reason: unknown) => void): () => void {
    const { deadline } = this.#stop
    if (deadline === undefined) return () => {}
    // It may cease to hold.
    const unlessCeased = (fn: () => void) => () => {
      if (this.#stop.deadline !== undefined) fn()
    }
    let timer: Timer
    const grace = unlessCeased(() => onLate(new DeadlineError()))
    const onDeadline = unlessCeased(() => {
      timer = afterLoopTime(this.#clock, GRACE_MS, grace)
    })
    timer = this.#clock.setTimer(Math.max(0, deadline - this.#clock.now()), onDeadline)
    return () => timer.cancel()
  }

  #whenAborted(signals: Signals, onLate: (reason: unknown) => void): () => void {
    let timer: Timer | undefined
    const watches = signals?.map(signal =>
      onAborted(signal, () => {
        timer ??= afterLoopTime(this.#clock, GRACE_MS, () => onLate(signal.reason))
      })
    )
    return () => {
      timer?.cancel()
      for (const unwatch of watches ?? []) unwatch()
    }
  }
}
