import t from 'tap'
import { assertNoCallback, toConfig, toConfigs } from '../src/statement-config.js'

t.test('a text is a statement, and so is an object with one, or with a name', async t => {
  t.same(toConfig('select 1'), { text: 'select 1' })
  for (const config of [{ text: 'select 1' }, { name: 'a' }, { name: 'a', text: null }])
    t.equal(toConfig(config as never), config)
})

t.test('anything else is refused with what was expected, and what was got', async t => {
  const expected = 'Expected a statement to be a text, or an object with its text, got'
  for (const [query, got] of [
    [null, 'null'],
    [undefined, 'undefined (undefined)'],
    [5, '5 (number)'],
    [['select 1'], 'an array'],
    [() => 'select 1', 'a function'],
    [Symbol.iterator, 'a symbol']
  ])
    t.throws(() => toConfig(query as never), new TypeError(`${expected} ${String(got)}`))
  const message = 'Expected the text of a statement to be a string, got 5 (number)'
  t.throws(() => toConfig({ text: 5 } as never), new TypeError(message))
  const readOnly = { text: 'select 1', readOnly: 'no' }
  const promise = 'Expected readOnly to be true or false, got "no" (string)'
  t.throws(() => toConfig(readOnly as never), new TypeError(promise))
})

t.test('several are an array', async t => {
  t.same(toConfigs(['a', { text: 'b' }]), [{ text: 'a' }, { text: 'b' }])
  t.throws(() => toConfigs('a' as never), { message: 'Expected an array of statements, got "a"' })
  t.throws(() => toConfigs(['a', null] as never), { message: 'Expected a statement to be a text' })
})

t.test('a callback would never be called', async t => {
  const callback = () => {}
  t.doesNotThrow(() => assertNoCallback(undefined, undefined))
  t.doesNotThrow(() => assertNoCallback([1], undefined))
  t.doesNotThrow(() => assertNoCallback([1], null))
  t.throws(() => assertNoCallback(callback, undefined), TypeError)
  t.throws(() => assertNoCallback([1], callback), TypeError)
})
