import type { Change } from './mutation.js'

/** Faults in `waiting-line.ts`. */
export const WAITING_LINE: readonly Change[] = [
  {
    name: 'who waits when the pool is closed waits on',
    find: 'waiter.reject(new EngineClosedError())',
    replace: ''
  },
  {
    name: 'one more than pool_max_waiting waits',
    find: 'if (waiting >= options.maxWaiting)',
    replace: 'if (waiting > options.maxWaiting)'
  },
  {
    name: 'who waits for a connect counts as waiting for a client',
    find: 'this.#waiters.size - inventory.connecting',
    replace: 'this.#waiters.size'
  },
  {
    name: 'who leaves stays in line',
    find: 'onLeave(checkout: Checkout<C>): void {',
    replace:
      'onLeave(checkout: Checkout<C>): void {\n    if (checkout.isDeferred !== undefined) return'
  },
  {
    name: 'places to be opened count for nothing',
    find: ' - (isClosed ? 0 : inventory.room)',
    replace: ''
  },
  {
    name: 'places count though the gate is closed',
    find: '(isClosed ? 0 : inventory.room)',
    replace: 'inventory.room'
  },
  {
    name: 'early refusal is inverted',
    find: '+ wait > checkout.deadline',
    replace: '+ wait < checkout.deadline'
  },
  {
    name: 'nobody is refused early',
    find: 'return this.#isHopeless(checkout) ? new OverloadedError() : undefined',
    replace: 'return undefined'
  },
  {
    name: 'who comes late is refused where no pace is known',
    find: 'wait !== undefined && checkout.arrivedAt + wait',
    replace: 'checkout.arrivedAt + (wait ?? 0)'
  },
  {
    name: 'with pool_timeout 0 the server is waited for',
    find: 'if (isClosed && options.timeout === 0) return recovery.failure',
    replace: ''
  },
  {
    name: 'who joins beside a closed gate is not parked',
    find: 'if (!checkout.isSettled) this.#park(checkout)',
    replace: ''
  },
  {
    name: 'who waits is parked for ever',
    find: 'if (!isOver) this.#parking.schedule(until)',
    replace: ''
  },
  {
    name: 'recovery_timeout counts from arrival',
    find: 'Math.max(checkout.arrivedAt, recovery.closedAt)',
    replace: 'checkout.arrivedAt'
  },
  {
    name: 'recovery_timeout counts from the outage',
    find: 'Math.max(checkout.arrivedAt, recovery.closedAt)',
    replace: 'recovery.closedAt'
  },
  {
    name: 'who cannot meet the next probe waits',
    find: ' || checkout.deadline < recovery.nextProbeAt',
    replace: ''
  },
  {
    name: 'clients lent by a server that is away are waited for',
    find: 'if (recovery.isFull && inventory.lent > 0)',
    replace: 'if (inventory.lent > 0)'
  },
  {
    name: 'a full server is waited for though none will come back',
    find: 'recovery.isFull && inventory.lent > 0',
    replace: 'recovery.isFull'
  },
  {
    name: 'a full server is counted as down',
    find: 'recovery.isFull && inventory.lent > 0',
    replace: 'false'
  },
  {
    name: 'a time-out is not counted',
    find: 'counters.timeouts += 1',
    replace: ''
  },
  {
    name: 'away is told as exhausted',
    find: 'return recovery.isClosed ? recovery.failure : new PoolTimeoutError()',
    replace: 'return new PoolTimeoutError()'
  },
  {
    name: 'who gives up stays in line',
    find: 'this.#waiters.remove(checkout)\n    checkout.reject(this',
    replace: 'checkout.reject(this'
  },
  {
    name: 'who is parked longest is looked at alone',
    find: 'this.#park(waiter)\n      waiter = next',
    replace: 'this.#park(waiter)\n      waiter = undefined'
  },
  {
    name: 'who wants a fresh client keeps the others from idle ones',
    find: 'while (waiter?.wantsFresh) waiter = waiter.next',
    replace: ''
  },
  {
    name: 'served waiters say nothing of the pace',
    find: 'if (waiter) this.#drain.served(this.#parts.clock.now(), this.#waiters.size === 0)',
    replace: ''
  },
  {
    name: 'who waits has no deadline',
    find: '    this.watch(checkout)\n',
    replace: ''
  }
]
