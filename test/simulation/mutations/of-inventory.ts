import type { Change } from './mutation.js'

/** Faults in `inventory.ts`. */
export const INVENTORY: readonly Change[] = [
  {
    name: 'capacity is off by one',
    find: 'return this.#parts.capacity.limit - this.#slots.size',
    replace: 'return this.#parts.capacity.limit - this.#slots.size + 1'
  },
  {
    name: 'idle clients are taken as they are',
    find: 'if (reason === undefined) return slot',
    replace: 'return slot'
  },
  {
    name: 'overflow is kept where none may linger',
    find: 'if (this.overflow > 0 && this.#parts.capacity.linger === 0) {',
    replace: 'if (false) {'
  },
  {
    name: 'a connected client still counts as connecting',
    find: 'this.#connecting -= 1\n        slot.client = client',
    replace: 'slot.client = client'
  },
  {
    name: 'a failed connect still counts as connecting',
    find: 'this.#connecting -= 1\n        this.#remove(slot)',
    replace: 'this.#remove(slot)'
  },
  {
    name: 'a failed connect leaks the slot',
    find: 'this.#connecting -= 1\n        this.#remove(slot)',
    replace: 'this.#connecting -= 1'
  },
  {
    name: 'the replacement goes beyond what is kept',
    find: 'if (this.#slots.size < this.#parts.capacity.keep && this.room > 0)',
    replace: 'if (this.room > 0)'
  },
  {
    name: 'a closed slot remembers its client',
    find: 'slot.client = undefined\n    this.#parts.owner.onClosed',
    replace: 'this.#parts.owner.onClosed'
  },
  {
    name: 'idle clients outlive their generation',
    find: 'this.#generation += 1\n    this.#discardIdle(reason, error)',
    replace: 'this.#generation += 1'
  },
  {
    name: 'close does not call connects off',
    find: 'for (const slot of this.#slots) slot.calledOff.abort(new EngineClosedError())',
    replace: ''
  },
  {
    name: 'close leaves idle clients open',
    find: "this.#discardIdle('close', undefined)",
    replace: ''
  },
  {
    name: 'close uses no force',
    find: "for (const slot of [...this.#slots]) this.discard(slot, 'close', undefined)",
    replace: ''
  },
  {
    name: 'close does not wait',
    find: 'if (this.#slots.size > 0) await this.#whenEmpty(timeout)',
    replace: ''
  },
  {
    name: 'close does not wait for sockets',
    find: 'await Promise.all(this.#closing)',
    replace: ''
  },
  {
    name: 'close always takes its whole time',
    find: 'if (this.#slots.size === 0) this.#onEmpty?.()',
    replace: ''
  },
  {
    name: 'the sweep outlives the pool',
    find: 'this.#sweeper.stop()',
    replace: ''
  },
  {
    name: 'the loss of an idle client goes unnoticed',
    find: 'if (!this.#idle.remove(slot)) return',
    replace: 'if (slot) return'
  },
  {
    name: 'the loss of a lent client is taken for an idle one’s',
    find: 'if (!this.#idle.remove(slot)) return',
    replace: 'this.#idle.remove(slot)'
  },
  {
    name: 'what the sweep finds too old is not replaced',
    find: "if (unfit === 'recycle') this.replace()",
    replace: ''
  },
  {
    name: 'the sweep closes what a listener has taken',
    find: 'if (!this.#idle.has(slot)) continue',
    replace: ''
  },
  {
    name: 'the sweep leaves overflow',
    find: 'clock.now() - slot.idleSince >= capacity.linger',
    replace: 'clock.now() - slot.idleSince > capacity.linger'
  },
  {
    name: 'the sweep comes at the age limit, not after it',
    find: 'slot.expiresAt + 1',
    replace: 'slot.expiresAt'
  },
  {
    name: 'all clients expire at their full age',
    find: 'capacity.maxAge * (1 - recycleJitter * random())',
    replace: 'capacity.maxAge'
  }
]
