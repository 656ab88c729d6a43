import type { Change } from './mutation.js'

/** Faults in `pool.ts`. */
export const POOL: readonly Change[] = [
  {
    name: 'a second return counts',
    find: 'if (lease.isReturned) return\n    lease.isReturned = true\n    const { slot, client }',
    replace: 'lease.isReturned = true\n    const { slot, client }'
  },
  {
    name: 'detach does not free the place',
    find: 'this.#inventory.detach(lease.slot)',
    replace: ''
  },
  {
    name: 'the place that detach frees is nobody’s',
    find: 'this.#hooks.detach(lease.client)\n    this.#dispatcher.serve()',
    replace: 'this.#hooks.detach(lease.client)'
  },
  {
    name: 'a late failure raises the generation again',
    find: 'if (this.#isClosed || generation < this.#inventory.generation) return false',
    replace: 'if (this.#isClosed) return false'
  },
  {
    name: 'the generation in use cannot be invalidated',
    find: 'generation < this.#inventory.generation) return false',
    replace: 'generation <= this.#inventory.generation) return false'
  },
  {
    name: 'nobody is served after a client was given up at its return',
    find: 'this.#hooks.checkin(undefined)\n    this.#dispatcher.serve()',
    replace: 'this.#hooks.checkin(undefined)'
  },
  {
    name: 'a client too old at its return is not replaced',
    find: "if (reason === 'recycle') this.#inventory.replace()",
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
    name: 'a second idle loss is as good as the first',
    find: 'if (isServer && this.#idleLosses.add(slot.generation)) this',
    replace: 'if (!isServer) this'
  },
  {
    name: 'the loss of one session counts as a loss of the server',
    find: 'if (isServer && this.#idleLosses',
    replace: 'if (this.#idleLosses'
  },
  {
    name: 'a client that was closed by force can be detached',
    find: ' || lease.slot.client === undefined',
    replace: ''
  },
  {
    name: 'the place of what is put back unfit is nobody’s',
    find: 'this.#inventory.discard(slot, unfit, client.lost)\n    this.#dispatcher.serve()',
    replace: 'this.#inventory.discard(slot, unfit, client.lost)'
  },
  {
    name: 'a soft invalidation after the return hits the next borrower',
    find: 'if (lease.isReturned || lease.isDetached) return\n    lease.slot.isSoft',
    replace: 'lease.slot.isSoft'
  },
  {
    name: 'a closed pool takes checkouts',
    find: 'if (this.#isClosed) return Promise.reject(new EngineClosedError())',
    replace: ''
  },
  {
    name: 'the deadline of the request is not heeded',
    find: 'return Math.min(own, request.deadline ?? Number.POSITIVE_INFINITY)',
    replace: 'return own'
  },
  {
    name: 'pool_timeout 0 is a deadline for connects',
    find: 'timeout === 0 ? Number.POSITIVE_INFINITY : this.#clock.now() + timeout',
    replace: 'this.#clock.now() + timeout'
  },
  {
    name: 'a returned client passes for a fresh one',
    find: 'slot.isFresh = false\n    const unfit = reason',
    replace: 'const unfit = reason'
  },
  {
    name: 'a soft invalidation is forgotten',
    find: 'lease.slot.isSoft = true',
    replace: ''
  },
  {
    name: 'a return with an error is a return',
    find: 'const unfit = reason ?? this.#unfitness(slot)',
    replace: 'const unfit = this.#unfitness(slot)'
  }
]
