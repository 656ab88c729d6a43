import t from 'tap'
import {
  CancelError,
  NoMoreWritesError,
  PingTimeoutError,
  SilenceError
} from '../src/session-errors.js'

t.test('each says what became of the session, by its name in every log', async t => {
  const cause = new Error('refused')
  const errors = [
    new PingTimeoutError(1000),
    new SilenceError('client'),
    new NoMoreWritesError(),
    new CancelError(cause)
  ]
  t.match(errors, [
    { name: 'PingTimeoutError', message: /within 1000 ms/ },
    { name: 'SilenceError', message: /fell silent/ },
    { name: 'NoMoreWritesError', message: /no more writes/ },
    { name: 'CancelError', message: /could not be cancelled/, cause }
  ])
  for (const error of errors) t.ok(error instanceof Error)
})

t.test('silence knows whom it is about', async t => {
  t.equal(new SilenceError('client').scope, 'client')
  t.equal(new SilenceError('generation').scope, 'generation')
})
