import t from 'tap'
import { IdleList } from '../../src/pool/idle-list.js'
import { Slot } from '../../src/pool/slot.js'
import type { FakeClient } from '../fixtures/fake-client.js'

function slots(count: number): Slot<FakeClient>[] {
  return Array.from({ length: count }, () => new Slot<FakeClient>(0, false))
}

function listOf(isLifo: boolean, idle: Slot<FakeClient>[]): IdleList<FakeClient> {
  const list = new IdleList<FakeClient>(isLifo)
  for (const slot of idle) list.add(slot)
  return list
}

t.test('an empty list has nothing to lend', async t => {
  const list = listOf(true, [])
  t.equal(list.take(), undefined)
  t.equal(list.size, 0)
})

t.test('P77: LIFO lends what came back last', async t => {
  const [a, b, c] = slots(3)
  const list = listOf(true, [a!, b!, c!])
  t.equal(list.take(), c)
  list.add(c!)
  t.equal(list.take(), c)
  t.equal(list.take(), b)
  t.equal(list.take(), a)
  t.equal(list.take(), undefined)
})

t.test('P78: FIFO lends what has been idle longest', async t => {
  const [a, b, c] = slots(3)
  const list = listOf(false, [a!, b!, c!])
  t.equal(list.take(), a)
  list.add(a!)
  t.equal(list.take(), b)
  t.equal(list.take(), c)
  t.equal(list.take(), a)
})

t.test('a slot may leave from anywhere, once', async t => {
  for (const index of [0, 1, 2]) {
    const idle = slots(3)
    const list = listOf(true, idle)
    t.equal(list.remove(idle[index]!), true)
    t.equal(list.remove(idle[index]!), false)
    t.strictSame(
      list.toArray(),
      idle.filter((_, at) => at !== index)
    )
    t.equal(list.size, 2)
  }
})

t.test('what was taken is not idle any more', async t => {
  const [a] = slots(1)
  const list = listOf(true, [a!])
  list.take()
  t.equal(list.remove(a!), false)
  t.equal(list.size, 0)
})

t.test('the copy has the one idle longest first, whichever is lent first', async t => {
  for (const isLifo of [true, false]) {
    const idle = slots(3)
    t.strictSame(listOf(isLifo, idle).toArray(), idle)
  }
})

t.test('what is done to the list does not change the copy', async t => {
  const idle = slots(2)
  const list = listOf(true, idle)
  const copy = list.toArray()
  list.take()
  t.equal(copy.length, 2)
  copy.pop()
  t.equal(list.size, 1)
})
