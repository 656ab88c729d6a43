import t from 'tap'
import { mayFinish, ON_ABORT } from '../src/on-abort.js'

t.test('a request of a safe method is cancelled, whatever the policy', async t => {
  for (const policy of ON_ABORT) {
    for (const isWriting of [true, false]) t.equal(mayFinish(policy, true, isWriting), false)
  }
})

t.test('the others finish if they write, if nothing may, or in any case', async t => {
  t.equal(mayFinish('cancel-reads', false, true), true)
  t.equal(mayFinish('cancel-reads', false, false), false)
  t.equal(mayFinish('cancel', false, true), false)
  t.equal(mayFinish('finish', false, false), true)
})
