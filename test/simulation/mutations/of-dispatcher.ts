import type { Change } from './mutation.js'

/** Faults in `dispatcher.ts`. */
export const DISPATCHER: readonly Change[] = [
  {
    name: 'who arrives does not take an idle client',
    find: 'this.#offer(checkout, slot)\n      return\n    }\n    line.join(checkout)',
    replace: 'inventory.putIdle(slot)\n    }\n    line.join(checkout)'
  },
  {
    name: 'what comes back becomes idle though somebody waits',
    find: 'if (waiter) this.#offer(waiter, slot)\n    else this',
    replace: 'if (waiter) this.#parts.line.rejoin(waiter)\n    this'
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
    find: 'this.#parts.invalidate(error, waiter.doubtedGeneration)\n    }\n    this.#openForWaiters()',
    replace: 'this.#parts.invalidate(error, waiter.doubtedGeneration)\n    }'
  },
  {
    name: 'a failed replacement is blamed on a waiter',
    find: 'const waiter = slot.isBackground ? undefined : line.first',
    replace: 'const waiter = line.first'
  },
  {
    name: 'a doubt is not confirmed by a failed connect',
    find: 'if (waiter?.doubtedGeneration !== undefined && !isFull) {',
    replace: 'if (false) {'
  },
  {
    name: 'a failed connect is nobody’s failure',
    find: 'waiter?.reject(error)',
    replace: 'if (waiter) line.rejoin(waiter)'
  },
  {
    name: 'one connect more than there are waiters',
    find: 'inventory.connecting < line.size',
    replace: 'inventory.connecting <= line.size'
  },
  {
    name: 'connects are not limited',
    find: 'inventory.room > 0 &&\n      recovery',
    replace: 'recovery'
  },
  {
    name: 'clients are lent without a ping',
    find: 'if (!mustVerify(slot, client, options, clock.now(), recovery.isClosed)) {',
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
    find: 'if (error instanceof PingTimeoutError) borrower.doubtedGeneration = slot.generation',
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
    find: 'if (!checkout.isSettled) this.#parts.line.rejoin(checkout)\n    this.serve()',
    replace:
      'if (checkout.isSettled) return\n    this.#parts.line.rejoin(checkout)\n    this.serve()'
  },
  {
    name: 'who has left waits again after a failed ping',
    find: 'if (!checkout.isSettled) this.#parts.line.rejoin(checkout)',
    replace: 'this.#parts.line.rejoin(checkout)'
  },
  {
    name: 'who comes back from a ping waits in a closed pool',
    find: 'if (this.#isClosed) checkout.reject(new EngineClosedError())',
    replace: ''
  },
  {
    name: 'idle clients are lent as they are beside a closed gate',
    find: 'options, clock.now(), recovery.isClosed)',
    replace: 'options, clock.now())'
  },
  {
    name: 'the failure of a connect to a server that is away is the first waiter’s',
    find: "if (isFull || failure === 'unavailable') {",
    replace: 'if (isFull) {'
  },
  {
    name: 'a full server is not waited for',
    find: "if (isFull || failure === 'unavailable') {",
    replace: "if (failure === 'unavailable') {"
  },
  {
    name: 'a full server confirms a doubt',
    find: 'if (waiter?.doubtedGeneration !== undefined && !isFull) {',
    replace: 'if (waiter?.doubtedGeneration !== undefined) {'
  },
  {
    name: 'a refusal leaves the gate closed',
    find: 'recovery.succeeded(line.size > 0)',
    replace: ''
  },
  {
    name: 'a client leaves the gate closed',
    find: 'recovery.succeeded(line.size > 1 && inventory.room > 0)',
    replace: ''
  },
  {
    name: 'the last of a backlog is a backlog',
    find: 'line.size > 1 && inventory.room > 0',
    replace: 'line.size > 0 && inventory.room > 0'
  },
  {
    name: 'a backlog without room is a backlog',
    find: 'line.size > 1 && inventory.room > 0',
    replace: 'line.size > 1'
  },
  {
    name: 'waiters connect whatever the gate says',
    find: ' &&\n      recovery.allows(inventory.connecting)',
    replace: ''
  },
  {
    name: 'who waits is not looked at when a connect has failed',
    find: 'line.parkAll()',
    replace: ''
  },
  {
    name: 'the prober ends with its first failure',
    find: 'recovery.ended(slot)\n    const { failure, isCutShort }',
    replace: 'const { failure }'
  },
  {
    name: 'a probe that succeeded is under way for ever',
    find: 'recovery.ended(slot)\n    recovery.succeeded',
    replace: 'recovery.succeeded'
  }
]
