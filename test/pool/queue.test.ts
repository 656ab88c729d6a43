import t from 'tap'
import { Queue, type Queued } from '../../src/pool/queue.js'

class Item implements Queued<Item> {
  readonly order: number
  previous: Item | undefined
  next: Item | undefined

  constructor(order: number) {
    this.order = order
  }
}

function queueOf(...orders: number[]): { queue: Queue<Item>; items: Item[] } {
  const queue = new Queue<Item>()
  const items = orders.map(order => new Item(order))
  for (const item of items) queue.add(item)
  return { queue, items }
}

/** Empties the queue. */
function drain(queue: Queue<Item>): number[] {
  const orders: number[] = []
  for (let item = queue.shift(); item; item = queue.shift()) orders.push(item.order)
  return orders
}

t.test('an empty queue has nobody to serve', async t => {
  const { queue } = queueOf()
  t.equal(queue.size, 0)
  t.equal(queue.first, undefined)
  t.equal(queue.shift(), undefined)
  t.equal(queue.size, 0)
})

t.test('who came first is served first', async t => {
  const { queue, items } = queueOf(1, 2, 3)
  t.equal(queue.first, items[0])
  t.equal(queue.size, 3)
  t.strictSame(drain(queue), [1, 2, 3])
})

t.test('looking at the first one does not serve it', async t => {
  const { queue } = queueOf(1, 2)
  t.equal(queue.first, queue.first)
  t.equal(queue.size, 2)
})

t.test('who comes back gets the place that its arrival gives it', async t => {
  for (const [waiting, back] of [
    [[2, 3], 1],
    [[1, 3], 2],
    [[1, 2], 3],
    [[1, 2, 4, 5], 3],
    [[], 1]
  ] as const) {
    const { queue } = queueOf(...waiting)
    queue.add(new Item(back))
    t.equal(queue.size, waiting.length + 1)
    t.strictSame(
      drain(queue),
      [...waiting, back].sort((a, b) => a - b)
    )
  }
})

t.test('one may leave from anywhere', async t => {
  for (const leaving of [0, 1, 2]) {
    const { queue, items } = queueOf(1, 2, 3)
    t.equal(queue.remove(items[leaving]!), true)
    t.equal(queue.size, 2)
    t.strictSame(
      drain(queue),
      [1, 2, 3].filter(order => order !== leaving + 1)
    )
  }
})

t.test('the only one may leave, and the queue can be used again', async t => {
  const { queue, items } = queueOf(1)
  t.equal(queue.remove(items[0]!), true)
  t.equal(queue.first, undefined)
  queue.add(new Item(2))
  t.strictSame(drain(queue), [2])
})

t.test('who is not there cannot leave', async t => {
  const { queue, items } = queueOf(1, 2, 3)
  t.equal(queue.remove(new Item(4)), false)
  queue.shift()
  t.equal(queue.remove(items[0]!), false, 'served already')
  queue.remove(items[1]!)
  t.equal(queue.remove(items[1]!), false, 'left already')
  t.equal(queue.remove(items[2]!), true)
  t.equal(queue.remove(items[2]!), false, 'was the last one')
  t.equal(queue.size, 0)
})

t.test('who left holds on to nobody', async t => {
  const { queue, items } = queueOf(1, 2, 3)
  queue.remove(items[1]!)
  t.equal(items[1]!.previous, undefined)
  t.equal(items[1]!.next, undefined)
  queue.add(items[1]!)
  t.strictSame(drain(queue), [1, 2, 3])
})

t.test('it does what a sorted array does, whatever the order of calls', async t => {
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % below
  }
  const queue = new Queue<Item>()
  const outside = Array.from({ length: 20 }, (_, order) => new Item(order))
  const inside: Item[] = []
  for (let step = 0; step < 5000; step += 1) {
    if (outside.length > 0 && random(2) === 0) {
      const [item] = outside.splice(random(outside.length), 1)
      queue.add(item!)
      inside.push(item!)
      inside.sort((a, b) => a.order - b.order)
    } else if (inside.length > 0) {
      const index = random(inside.length)
      const [item] = inside.splice(index, 1)
      if (index > 0) queue.remove(item!)
      else if (queue.shift() !== item) return t.fail(`step ${step}: the wrong one was served`)
      outside.push(item!)
    }
    if (queue.size !== inside.length || queue.first !== inside[0]) {
      return t.fail(`step ${step}: not what the array says`)
    }
  }
  t.strictSame(
    drain(queue),
    inside.map(item => item.order)
  )
})
