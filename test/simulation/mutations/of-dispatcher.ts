import type { Change } from './mutation.js'

/** Faults in `dispatcher.ts`. */
export const DISPATCHER: readonly Change[] = [
  {
    name: 'who arrives does not take an idle client',
    find: 'if (slot) this.#offer(checkout, slot)\n    else this.#enqueue(checkout)',
    replace: 'if (slot) this.#parts.inventory.putIdle(slot)\n    this.#enqueue(checkout)'
  },
  {
    name: 'what comes back becomes idle though somebody waits',
    find: 'if (waiter) this.#offer(waiter, slot)\n    else this',
    replace: 'if (waiter) this.#waiters.add(waiter)\n    this'
  },
  {
    name: 'nothing is opened when capacity is free',
    find: '    this.#openForWaiters()\n  }\n\n  onOpened(slot',
    replace: '  }\n\n  onOpened(slot'
  },
  {
    name: 'a client is lent as it arrives, dead or of an old generation',
    find: 'if (unfit === undefined) {\n      this.supply(slot)',
    replace: 'if (true) {\n      this.supply(slot)'
  },
  {
    name: 'nothing is opened for one that arrived too late for its generation',
    find: 'if (waiter) this.#tryAgain(waiter, error)\n    else this.#openForWaiters()',
    replace: 'if (waiter) this.#tryAgain(waiter, error)'
  },
  {
    name: 'the wake-up after a failed connect is dropped',
    find: 'waiter?.reject(error)\n    this.#openForWaiters()',
    replace: 'waiter?.reject(error)'
  },
  {
    name: 'a failed replacement is blamed on a waiter',
    find: 'const waiter = slot.isReplacement ? undefined : this.#waiters.shift()',
    replace: 'const waiter = this.#waiters.shift()'
  },
  {
    name: 'a doubt is not confirmed by a failed connect',
    find: 'if (waiter?.doubtedGeneration !== undefined) {',
    replace: 'if (false) {'
  },
  {
    name: 'a failed connect is nobody’s failure',
    find: 'waiter?.reject(error)',
    replace: 'if (waiter) this.#waiters.add(waiter)'
  },
  {
    name: 'who waits when the pool is closed waits on',
    find: 'waiter.reject(new EngineClosedError())',
    replace: ''
  },
  {
    name: 'one more than pool_max_waiting waits',
    find: 'return waiting >= options.maxWaiting',
    replace: 'return waiting > options.maxWaiting'
  },
  {
    name: 'who waits for a connect counts as waiting for a client',
    find: 'this.#waiters.size - inventory.connecting',
    replace: 'this.#waiters.size'
  },
  {
    name: 'who leaves stays in line',
    find: '() => this.#waiters.remove(checkout)',
    replace: '() => {}'
  },
  {
    name: 'one connect more than there are waiters',
    find: 'inventory.connecting < this.#waiters.size',
    replace: 'inventory.connecting <= this.#waiters.size'
  },
  {
    name: 'connects are not limited',
    find: 'inventory.connecting < this.#waiters.size && inventory.hasRoom',
    replace: 'inventory.connecting < this.#waiters.size'
  },
  {
    name: 'clients are lent without a ping',
    find: 'if (!mustVerify(slot, client, options, clock.now())) {',
    replace: 'if (true) {'
  },
  {
    name: 'a verified client is lent to who has left',
    find: 'if (checkout.isSettled) this.supply(slot)\n      else this.#lend',
    replace: 'this.#lend'
  },
  {
    name: 'a verified client of who has left is kept from the others',
    find: 'if (checkout.isSettled) this.supply(slot)',
    replace: 'if (checkout.isSettled) inventory.putIdle(slot)'
  },
  {
    name: 'what happened during a ping is not looked at',
    find: 'if (unfit === undefined) {\n      if (checkout.isSettled)',
    replace: 'if (true) {\n      if (checkout.isSettled)'
  },
  {
    name: 'a failed ping leaks the slot',
    find: "inventory.discard(slot, 'ping', error)",
    replace: ''
  },
  {
    name: 'a failed ping never invalidates the generation',
    find: "if (verdict.scope === 'generation') this.#parts.invalidate(error, slot.generation)",
    replace: ''
  },
  {
    name: 'a failed ping always invalidates the generation',
    find: "if (verdict.scope === 'generation') this.#parts",
    replace: 'this.#parts'
  },
  {
    name: 'a ping that is no disconnect is tried again',
    find: "if (verdict.failure !== 'disconnect') {",
    replace: 'if (false) {'
  },
  {
    name: 'a ping that timed out raises no doubt',
    find: 'if (error instanceof PingTimeoutError) checkout.doubtedGeneration = slot.generation',
    replace: ''
  },
  {
    name: 'a client that a listener refused stays out',
    find: "inventory.discard(slot, 'error', error)",
    replace: ''
  },
  {
    name: 'a listener’s disconnect fails the checkout',
    find: "if (failure !== 'disconnect') checkout.reject(error)",
    replace: 'checkout.reject(error)'
  },
  {
    name: 'who is called off by a listener takes the client along',
    find: 'if (checkout.isSettled) {\n      hooks.checkin(client)',
    replace: 'if (false) {\n      hooks.checkin(client)'
  },
  {
    name: 'pings are not counted',
    find: 'counters.pings += 1',
    replace: ''
  },
  {
    name: 'one try more',
    find: 'if (checkout.tries >= MAX_TRIES)',
    replace: 'if (checkout.tries > MAX_TRIES)'
  },
  {
    name: 'the capacity that a leaver’s dead client leaves is nobody’s',
    find: 'if (!checkout.isSettled) this.#wait(checkout)\n    this.serve()',
    replace: 'if (checkout.isSettled) return\n    this.#wait(checkout)\n    this.serve()'
  },
  {
    name: 'who has left waits again after a failed ping',
    find: 'if (!checkout.isSettled) this.#wait(checkout)',
    replace: 'this.#wait(checkout)'
  },
  {
    name: 'who comes back from a ping waits in a closed pool',
    find: 'if (this.#isClosed) checkout.reject(new EngineClosedError())',
    replace: ''
  }
]
