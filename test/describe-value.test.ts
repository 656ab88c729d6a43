import t from 'tap'
import { describeValue, isHarmlessKey, isPlainObject } from '../src/describe-value.js'

t.test('a value is shown when it is plainly harmless, and else only described', async t => {
  const values: [unknown, string][] = [
    [null, 'null'],
    [undefined, 'undefined (undefined)'],
    [true, 'true (boolean)'],
    [-5, '-5 (number)'],
    [Number.NaN, 'NaN (number)'],
    [Number.POSITIVE_INFINITY, 'Infinity (number)'],
    [[1], 'an array'],
    [{ a: 1 }, 'an object'],
    ['', '"" (string)'],
    ['false', '"false" (string)'],
    ['READ COMMITTED', '"READ COMMITTED" (string)'],
    ['postgres://u:p@h/d', 'a string of 18 characters'],
    ['a\nb', 'a string of 3 characters'],
    ['x'.repeat(25), 'a string of 25 characters']
  ]
  for (const [value, description] of values) t.equal(describeValue(value), description)
})

t.test('a function or a symbol is described, not quoted', async t => {
  for (const value of [() => 'hunter2', class Hunter2 {}, Symbol('hunter2')]) {
    t.notMatch(describeValue(value), /hunter2/i)
  }
})

t.test('an object is plain when it has keys and no places', async t => {
  t.ok([{}, Object.create(null), { length: 0 }].every(isPlainObject))
  t.notOk([null, undefined, [], 'text', 1, () => {}].some(isPlainObject))
})

t.test('a key is shown when it is a word', async t => {
  t.ok(['pool_size', 'PGHOST', 'connect-args', 'a'].every(isHarmlessKey))
  t.notOk(['', 'postgres://u:p@h/d', 'a b', 'x'.repeat(101)].some(isHarmlessKey))
})
