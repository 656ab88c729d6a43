import type { PoolClient } from './contract.js'
import type { Slot } from './slot.js'

/** The idle slots, the one idle longest first. Short, so that an array beats cleverer things. */
export class IdleList<C extends PoolClient> {
  readonly #slots: Slot<C>[] = []
  readonly #isLifo: boolean

  /** `isLifo`: lend the slot that came back last, so that surplus ones idle until they are closed. */
  constructor(isLifo: boolean) {
    this.#isLifo = isLifo
  }

  get size(): number {
    return this.#slots.length
  }

  add(slot: Slot<C>): void {
    this.#slots.push(slot)
  }

  take(): Slot<C> | undefined {
    return this.#isLifo ? this.#slots.pop() : this.#slots.shift()
  }

  has(slot: Slot<C>): boolean {
    return this.#slots.includes(slot)
  }

  /** Whether the slot was idle, and now is not. */
  remove(slot: Slot<C>): boolean {
    const index = this.#slots.indexOf(slot)
    if (index === -1) return false
    this.#slots.splice(index, 1)
    return true
  }

  /** A copy: what is done to the slots may change the list. */
  toArray(): Slot<C>[] {
    return [...this.#slots]
  }
}
