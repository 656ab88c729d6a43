import t from 'tap'
import { beginText } from '../src/begin-text.js'

t.test('BEGIN says what was asked for and nothing else', async t => {
  t.equal(beginText({}), 'BEGIN')
  const off = { isolationLevel: 'READ COMMITTED', readOnly: false, deferrable: false } as const
  t.equal(beginText(off), 'BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE')
  t.equal(beginText({ readOnly: true, deferrable: true }), 'BEGIN READ ONLY, DEFERRABLE')
})

t.test('where read-only was promised, no option takes that back', async t => {
  t.equal(beginText({}, true), 'BEGIN READ ONLY')
  t.equal(beginText({ readOnly: false }, true), 'BEGIN READ ONLY')
})

t.test('no option becomes SQL, nor is overlooked', async t => {
  const levels = ['serializable', 'SERIALIZABLE; drop table notes', '', null]
  for (const isolationLevel of levels)
    t.throws(() => beginText({ isolationLevel } as never), TypeError)
  t.throws(() => beginText({ readonly: true } as never), /got 'readonly'/)
  for (const name of ['readOnly', 'deferrable']) {
    const message = `Expected ${name} to be true or false, got "yes" (string)`
    t.throws(() => beginText({ [name]: 'yes' } as never), new TypeError(message))
  }
  for (const [options, got] of [
    [null, 'null'],
    [5, '5 (number)']
  ]) {
    const message = `Expected transaction options in an object, got ${got}`
    t.throws(() => beginText(options as never), new TypeError(message))
  }
})
