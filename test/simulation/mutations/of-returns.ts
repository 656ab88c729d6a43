import type { Change } from './mutation.js'

/** Faults in `returns.ts`. */
export const RETURNS: readonly Change[] = [
  {
    name: 'a second return counts',
    find: 'if (lease.isReturned) return\n    lease.isReturned = true\n    const { slot, client }',
    replace: 'lease.isReturned = true\n    const { slot, client }'
  },
  {
    name: 'nobody is served after a client was given up at its return',
    find: 'hooks.checkin(undefined)\n    dispatcher.serve()',
    replace: 'hooks.checkin(undefined)'
  },
  {
    name: 'a client too old at its return is not replaced',
    find: "if (reason === 'recycle') inventory.replace()",
    replace: ''
  },
  {
    name: 'a reset client is not looked at again',
    find: 'if (unfit !== undefined) {\n      this.#retire(slot, unfit, client.lost)',
    replace: 'if (false) {\n      this.#retire(slot, unfit, client.lost)'
  },
  {
    name: 'a failed reset is taken for a good one',
    find: "failure => this.#retire(slot, 'reset', failure)",
    replace: '() => this.#takeBack(slot, client)'
  },
  {
    name: 'the place of what is put back unfit is nobody’s',
    find: 'this.#parts.inventory.discard(slot, unfit, client.lost)\n    this.#parts.dispatcher.serve()',
    replace: 'this.#parts.inventory.discard(slot, unfit, client.lost)'
  },
  {
    name: 'a returned client passes for a fresh one',
    find: 'slot.isFresh = false\n    const unfit = reason',
    replace: 'const unfit = reason'
  },
  {
    name: 'a return with an error is a return',
    find: 'const unfit = reason ?? this.#unfitness(slot)',
    replace: 'const unfit = this.#unfitness(slot)'
  },
  {
    name: 'a closed pool keeps what comes back',
    find: "if (this.#isClosed) return 'close'",
    replace: ''
  },
  {
    name: 'what NullPool takes back is replaced',
    find: ' && this.#parts.isNullPool',
    replace: ''
  },
  {
    name: 'what was put back can be put back again',
    find: 'lease.isReturned = true\n    const { client, slot }',
    replace: 'const { client, slot }'
  },
  {
    name: 'what is put back is nobody’s',
    find: 'this.#parts.dispatcher.supply(slot)\n      return',
    replace: 'return'
  },
  {
    name: 'a client that came back is nobody’s',
    find: 'this.#parts.hooks.checkin(client)\n    this.#parts.dispatcher.supply(slot)',
    replace: 'this.#parts.hooks.checkin(client)'
  }
]
