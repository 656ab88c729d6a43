import t from 'tap'
import { IdleLosses } from '../../src/pool/idle-losses.js'
import { FakeClock } from '../fixtures/fake-clock.js'

t.test('one loss says nothing about the generation', async t => {
  t.equal(new IdleLosses(new FakeClock()).add(0), false)
})

t.test('two losses in the same millisecond say that the generation is lost', async t => {
  const losses = new IdleLosses(new FakeClock())
  losses.add(0)
  t.equal(losses.add(0), true)
})

t.test('two losses count until exactly a second has passed', async t => {
  for (const [ms, isGeneration] of [
    [999, true],
    [1000, true],
    [1001, false]
  ] as const) {
    const clock = new FakeClock()
    const losses = new IdleLosses(clock)
    losses.add(0)
    await clock.advance(ms)
    t.equal(losses.add(0), isGeneration, `${ms} ms`)
  }
})

t.test('losses of different generations are different incidents', async t => {
  const losses = new IdleLosses(new FakeClock())
  losses.add(0)
  t.equal(losses.add(1), false)
  t.equal(losses.add(1), true)
})

t.test('the second of two distant losses may be the first of two near ones', async t => {
  const clock = new FakeClock()
  const losses = new IdleLosses(clock)
  losses.add(0)
  await clock.advance(2000)
  t.equal(losses.add(0), false)
  await clock.advance(500)
  t.equal(losses.add(0), true)
})
