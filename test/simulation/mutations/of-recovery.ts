import type { Change } from './mutation.js'

/** Faults in `recovery.ts`. */
export const RECOVERY: readonly Change[] = [
  {
    name: 'a second probe is sent',
    find: ' || this.#prober !== undefined',
    replace: ''
  },
  {
    name: 'a probe is planned twice',
    find: 'closure.timer !== undefined || ',
    replace: ''
  },
  {
    name: 'the gate is never closed',
    find: 'if (this.#isStopped) return',
    replace: 'return'
  },
  {
    name: 'the gate is not opened by success',
    find: 'this.#closure = undefined',
    replace: ''
  },
  {
    name: 'the prober is not called off by success',
    find: 'closure.timer?.cancel()\n      this',
    replace: 'this'
  },
  {
    name: 'the allowance is not reset by a failure',
    find: 'this.#isRecovering = false\n    this.#allowance = 1',
    replace: 'this.#isRecovering = false'
  },
  {
    name: 'the allowance does not grow',
    find: 'this.#allowance + 1)',
    replace: 'this.#allowance)'
  },
  {
    name: 'the allowance stays small without a backlog',
    find: 'return\n    this.#allowance = this.#fullAllowance',
    replace: 'return'
  },
  {
    name: 'there is no slow start',
    find: 'if (hasBacklog && this.#allowance < this.#fullAllowance) return',
    replace: ''
  },
  {
    name: 'it recovers for ever',
    find: 'this.#allowance = this.#fullAllowance\n    this.#isRecovering = false',
    replace: 'this.#allowance = this.#fullAllowance'
  },
  {
    name: 'nothing recovers',
    find: 'this.#isRecovering = !closure.isFull',
    replace: ''
  },
  {
    name: 'a failure is no end of recovering',
    find: 'this.#isRecovering = false\n    this.#allowance = 1',
    replace: 'this.#allowance = 1'
  },
  {
    name: 'a connect that was cut short closes the gate',
    find: 'this.#isSuspicious || this.#closure',
    replace: 'true || this.#closure'
  },
  {
    name: 'no connect that was cut short closes the gate',
    find: 'this.#isSuspicious || this.#closure',
    replace: 'this.#closure'
  },
  {
    name: 'a success does not allay suspicion',
    find: 'this.#isSuspicious = false\n    const closure',
    replace: 'const closure'
  },
  {
    name: 'a full server counts as down',
    find: 'this.#closure !== undefined && !this.#closure.isFull',
    replace: 'this.#closure !== undefined'
  },
  {
    name: 'what was full stays full',
    find: 'this.#closure.isFull = isFull',
    replace: ''
  },
  {
    name: 'the first failure is the one that is told',
    find: 'this.#closure.failure = error',
    replace: ''
  },
  {
    name: 'one more may connect',
    find: 'connecting < this.#allowance',
    replace: 'connecting <= this.#allowance'
  },
  {
    name: 'a closed gate lets connects pass',
    find: 'this.#closure === undefined && connecting',
    replace: 'connecting'
  },
  {
    name: 'half of the pool may connect',
    find: 'const CONNECTING_PART = 1 / 4',
    replace: 'const CONNECTING_PART = 1 / 2'
  },
  {
    name: 'a small pool connects one by one',
    find: 'const ALWAYS_ALLOWED = 4',
    replace: 'const ALWAYS_ALLOWED = 1'
  },
  {
    name: 'a pool without limit connects without limit',
    find: 'const MAX_COUNTED_CLIENTS = 100',
    replace: 'const MAX_COUNTED_CLIENTS = 10_000'
  },
  {
    name: 'the prober is not stopped on close',
    find: 'this.#closure?.timer?.cancel()',
    replace: ''
  },
  {
    name: 'a suspicion is forgotten',
    find: 'suspect(): void {\n    this.#allowance = 1',
    replace: 'suspect(): void {'
  },
  {
    name: 'every outage is young',
    find: 'clock.now() - closure.since < YOUNG_MS',
    replace: 'true'
  },
  {
    name: 'no outage is young',
    find: 'clock.now() - closure.since < YOUNG_MS',
    replace: 'false'
  },
  {
    name: 'the pauses of a long outage do not grow',
    find: 'closure.ceiling = Math.min(LONGEST_PAUSE_MS, closure.ceiling * 2)',
    replace: ''
  },
  {
    name: 'a long outage is probed all the time',
    find: 'closure.ceiling * (1 - random() * JITTER_PART)',
    replace: 'closure.ceiling * random()'
  },
  {
    name: 'the next probe is not announced',
    find: 'closure.nextProbeAt = clock.now() + pause',
    replace: ''
  }
]
