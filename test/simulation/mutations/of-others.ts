import type { Mutation } from './mutation.js'

/** Faults in the smaller files of the core. */
export const OTHERS: readonly Mutation[] = [
  {
    name: 'the window includes its end',
    file: 'liveness.ts',
    find: 'now - client.heardAt >= rules.window',
    replace: 'now - client.heardAt > rules.window'
  },
  {
    name: 'fresh clients are pinged',
    file: 'liveness.ts',
    find: 'if (slot.isFresh) return false',
    replace: ''
  },
  {
    name: 'the generation is not checked',
    file: 'liveness.ts',
    find: "if (slot.generation < generation) return 'generation'",
    replace: ''
  },
  {
    name: 'a lost client passes',
    file: 'liveness.ts',
    find: "if (slot.client?.lost !== undefined) return 'error'",
    replace: ''
  },
  {
    name: 'a client is too old at its age limit',
    file: 'liveness.ts',
    find: 'now > slot.expiresAt',
    replace: 'now >= slot.expiresAt'
  },
  {
    name: 'the last who came is served first',
    file: 'queue.ts',
    find: 'const item = this.#first\n    if (item',
    replace: 'const item = this.#last\n    if (item'
  },
  {
    name: 'who tries again waits at the end',
    file: 'queue.ts',
    find: 'if (this.#last === undefined || this.#last.order < item.order) {',
    replace: 'if (true) {'
  },
  {
    name: 'who doubts a generation is sent to the next silent client of it',
    file: 'checkout.ts',
    find: 'return this.doubtedGeneration !== undefined || this',
    replace: 'return this'
  },
  {
    name: 'the last try is for an old client',
    file: 'checkout.ts',
    find: ' || this.tries === MAX_TRIES - 1',
    replace: ''
  },
  {
    name: 'an abort by a listener that throws is not heard',
    file: 'checkout.ts',
    find: 'if (signal.aborted) this.#onAbort()',
    replace: ''
  },
  {
    name: 'a settled checkout keeps its timer',
    file: 'checkout.ts',
    find: 'this.#deadlines?.remove(this)',
    replace: ''
  },
  {
    name: 'a settled checkout listens on to its signal',
    file: 'checkout.ts',
    find: "if (this.#onAbort) this.#signal?.removeEventListener('abort', this.#onAbort)",
    replace: ''
  },
  {
    name: 'the deadline comes a millisecond late',
    file: 'deadlines.ts',
    find: 'at - this.#clock.now()',
    replace: 'at - this.#clock.now() + 1'
  },
  {
    name: 'an earlier deadline waits for a later one',
    file: 'deadlines.ts',
    find: 'due.deadline < this.#at || ',
    replace: ''
  },
  {
    name: 'when the first deadline has come the others are forgotten',
    file: 'deadlines.ts',
    find: 'if (next !== undefined && this.#all.size > 0) this.#setTimer(next)',
    replace: ''
  },
  {
    name: 'the timer of nobody goes on',
    file: 'deadlines.ts',
    find: 'if (this.#all.size === 0) this.#stop()',
    replace: ''
  },
  {
    name: 'an abort is not heard',
    file: 'checkout.ts',
    find: "signal.addEventListener('abort', this.#onAbort, { once: true })",
    replace: ''
  },
  {
    name: 'idle clients are lent from the other end',
    file: 'idle-list.ts',
    find: 'this.#isLifo ? this.#slots.pop() : this.#slots.shift()',
    replace: 'this.#isLifo ? this.#slots.shift() : this.#slots.pop()'
  },
  {
    name: 'idle losses of different generations add up',
    file: 'idle-losses.ts',
    find: 'last.generation === generation && ',
    replace: ''
  },
  {
    name: 'idle losses a second apart do not add up',
    file: 'idle-losses.ts',
    find: 'at - last.at <= WINDOW_MS',
    replace: 'at - last.at < WINDOW_MS'
  },
  {
    name: 'the sweep is not brought forward',
    file: 'sweeper.ts',
    find: 'if (at >= this.#at) return',
    replace: 'if (this.#at < Number.POSITIVE_INFINITY) return'
  },
  {
    name: 'the sweep happens once',
    file: 'sweeper.ts',
    find: 'this.#at = Number.POSITIVE_INFINITY\n      this.#sweep()',
    replace: 'this.#sweep()'
  },
  {
    name: 'overflow counts for nothing',
    file: 'capacity.ts',
    find: 'keep + options.maxOverflow',
    replace: 'keep'
  },
  {
    name: 'NullPool keeps clients',
    file: 'capacity.ts',
    find: 'maxAge: -1 }',
    replace: 'maxAge: unlimited }'
  }
]
