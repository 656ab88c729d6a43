const UNIT = 1 / 2 ** 32

/** Spreads a number over 32 bits (splitmix32's finish), so that neighbouring seeds have nothing in common. */
function scramble(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** The `n`th number of one of a seed's streams, from 0 to 1, 1 excluded: what one stream yields does not depend on the others. */
export function draw(seed: number, stream: number, n: number): number {
  return scramble(seed + Math.imul(stream, 0x9e3779b9) + Math.imul(n, 0x6d2b79f5)) * UNIT
}

/** A generator of which the seed is all that must be known to repeat what it did. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = scramble(seed)
  }

  /** Uniform from 0 to 1, 1 excluded. */
  next(): number {
    return this.bits() * UNIT
  }

  /** 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    return scramble(this.#state)
  }

  /** A whole number from 0 to `n`, `n` excluded. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('Expected something to pick from, got nothing')
    return item
  }
}
