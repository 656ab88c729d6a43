/** A place in a {@link Queue}; an item belongs to one queue at a time. */
export interface Queued<T> {
  /** Order of arrival: smaller was here first. */
  readonly order: number
  previous: T | undefined
  next: T | undefined
}

/**
 * A queue in order of arrival, in which joining at the end, leaving from anywhere and serving the first cost
 * the same however many wait. Who comes back after a failed try gets the place its arrival gives it.
 */
export class Queue<T extends Queued<T>> {
  #first: T | undefined
  #last: T | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first
  }

  add(item: T): void {
    if (this.#last === undefined || this.#last.order < item.order) {
      this.#insertBetween(this.#last, item, undefined)
      return
    }
    let next = this.#first
    while (next !== undefined && next.order < item.order) next = next.next
    this.#insertBetween(next?.previous, item, next)
  }

  shift(): T | undefined {
    const item = this.#first
    if (item !== undefined) this.remove(item)
    return item
  }

  /** Whether the item was waiting here, and now is not. */
  remove(item: T): boolean {
    if (item.previous === undefined && this.#first !== item) return false
    if (item.previous) item.previous.next = item.next
    else this.#first = item.next
    if (item.next) item.next.previous = item.previous
    else this.#last = item.previous
    item.previous = undefined
    item.next = undefined
    this.#size -= 1
    return true
  }

  #insertBetween(previous: T | undefined, item: T, next: T | undefined): void {
    item.previous = previous
    item.next = next
    if (previous) previous.next = item
    else this.#first = item
    if (next) next.previous = item
    else this.#last = item
    this.#size += 1
  }
}
