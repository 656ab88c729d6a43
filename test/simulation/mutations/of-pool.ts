import type { Change } from './mutation.js'

/** Faults in `pool.ts`. */
export const POOL: readonly Change[] = [
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
    name: 'a soft invalidation after the return hits the next borrower',
    find: 'if (lease.isReturned || lease.isDetached) return\n    lease.slot.isSoft',
    replace: 'lease.slot.isSoft'
  },
  {
    name: 'a closed pool takes checkouts',
    find: 'if (this.#isClosed) checkout.reject(new EngineClosedError())',
    replace: 'if (false) checkout.reject(new EngineClosedError())'
  },
  {
    name: 'the deadline of the request is not heeded',
    find: 'return Math.min(own, request.deadline ?? Number.POSITIVE_INFINITY)',
    replace: 'return own'
  },
  {
    name: 'pool_timeout 0 is a deadline for connects',
    find: 'timeout === 0 ? Number.POSITIVE_INFINITY : now + timeout',
    replace: 'now + timeout'
  },
  {
    name: 'a soft invalidation is forgotten',
    find: 'lease.slot.isSoft = true',
    replace: ''
  },
  {
    name: 'an invalidation by the user casts doubt on the server',
    find: "if (reason === 'generation') this.#recovery.suspect()",
    replace: 'this.#recovery.suspect()'
  },
  {
    name: 'a server that took leave is met by all at once',
    find: "if (reason === 'generation') this.#recovery.suspect()",
    replace: ''
  },
  {
    name: 'the prober outlives the pool',
    find: 'this.#recovery.stop()',
    replace: ''
  },
  {
    name: 'nobody hears that the server is away',
    find: 'hooks.down(error, isFull)',
    replace: 'undefined'
  },
  {
    name: 'nobody hears that the server is back',
    find: 'hooks.up(duration, wasFull)',
    replace: ''
  },
  {
    name: 'the time of the parked runs on when the server is back',
    find: 'this.#line.endParking()',
    replace: ''
  },
  {
    name: 'a probe is a waiter’s',
    find: 'inventory.open(true)',
    replace: 'inventory.open()'
  },
  {
    name: 'what is too old is replaced beside a closed gate',
    find: 'this.#recovery.allows(connecting)',
    replace: 'true'
  }
]
