import t from 'tap'
import { Failure } from '../src/failure.js'

t.test('a failure keeps the error, what is made of it and where it came from', async t => {
  const error = new Error('gone')
  const failure = new Failure(error, { failure: 'disconnect', scope: 'client' }, 'statement')
  t.equal(failure.error, error)
  t.equal(failure.phase, 'statement')
  t.equal(failure.isDisconnect, true)
})

t.test('only a lost session is a disconnect', async t => {
  for (const failure of ['unavailable', 'misconfigured', 'contention', 'statement'] as const) {
    t.equal(new Failure(undefined, { failure, scope: 'none' }, 'connect').isDisconnect, false)
  }
})
