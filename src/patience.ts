import { onAborted } from './abort-listener.js'
import type { Account } from './account.js'
import type { Timer } from './clock.js'
import { DeadlineError } from './errors.js'
import type { StopClock, StopSign } from './stop-sign.js'

/** Enough for a server that is there to have something cancelled, and to say what became of it. */
export const GRACE_MS = 100

type Signals = readonly AbortSignal[] | undefined

/**
 * How long an answer is waited for when its time is up: what was cancelled says what became of it, but a server that
 * has fallen silent says nothing. Whoever waits goes on without, and the client stays busy until it has answered, or
 * is found dead.
 */
export class Patience {
  readonly #clock: StopClock
  readonly #stop: Pick<StopSign, 'deadline'>
  readonly #account: Pick<Account, 'isCommitting'>
  #left = 0

  constructor(
    clock: StopClock,
    stop: Pick<StopSign, 'deadline'>,
    account: Pick<Account, 'isCommitting'>
  ) {
    this.#clock = clock
    this.#stop = stop
    this.#account = account
  }

  /** Something that nobody waits for any more has not come to its end. */
  get isExhausted(): boolean {
    return this.#left > 0
  }

  /**
   * Waits for work that is cancelled when its time is up; `onLeft`: nobody waits any more, nothing is to be begun for it.
   *
   * @throws what the work does, or what it was to be cancelled for
   */
  wait<Result>(work: Promise<Result>, signals: Signals, onLeft: () => void): Promise<Result> {
    if (signals === undefined && this.#stop.deadline === undefined) return work
    return this.#waitInTime(work, signals, onLeft)
  }

  async #waitInTime<Result>(
    work: Promise<Result>,
    signals: Signals,
    onLeft: () => void
  ): Promise<Result> {
    const callOffs: (() => void)[] = []
    const late = new Promise<never>((_resolve, reject) => {
      const leave = (reason: unknown) => {
        onLeft()
        this.#countUntilOver(work)
        reject(reason)
      }
      callOffs.push(this.#atDeadline(leave), this.#whenAborted(signals, leave))
    })
    try {
      return await Promise.race([work, late])
    } finally {
      for (const callOff of callOffs) callOff()
    }
  }

  /** Also a COMMIT, which nobody cuts short: the request is to be answered. */
  #atDeadline(leave: (reason: unknown) => void): () => void {
    const { deadline } = this.#stop
    if (deadline === undefined) return () => {}
    const timeLeft = Math.max(0, deadline - this.#clock.now())
    const timer = this.#clock.setTimer(timeLeft + GRACE_MS, () => {
      // It may have ceased to hold.
      if (this.#stop.deadline !== undefined) leave(new DeadlineError())
    })
    return () => timer.cancel()
  }

  #whenAborted(signals: Signals, leave: (reason: unknown) => void): () => void {
    let timer: Timer | undefined
    const watches = signals?.map(signal =>
      onAborted(signal, () => {
        // Nobody has had it cancelled.
        if (this.#account.isCommitting) return
        timer ??= this.#clock.setTimer(GRACE_MS, () => leave(signal.reason))
      })
    )
    return () => {
      timer?.cancel()
      for (const unwatch of watches ?? []) unwatch()
    }
  }

  #countUntilOver(work: Promise<unknown>): void {
    this.#left += 1
    const over = () => {
      this.#left -= 1
    }
    work.then(over, over)
  }
}
