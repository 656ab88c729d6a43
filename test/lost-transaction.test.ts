import t from 'tap'
import { DisconnectedError, PendingRollbackError } from '../src/errors.js'
import { LostTransaction } from '../src/lost-transaction.js'

t.test('while it is not rolled back nothing else may run', async t => {
  const lost = new LostTransaction()
  t.doesNotThrow(() => lost.assertNone())
  lost.isPending = true
  t.throws(() => lost.assertNone(), PendingRollbackError)
  t.throws(() => lost.tell(), PendingRollbackError)
  lost.isPending = false
  t.doesNotThrow(() => lost.tell())
})

t.test('a loss that nobody has been told of is told once', async t => {
  const lost = new LostTransaction()
  const error = new DisconnectedError()
  lost.keepUntold(error)
  t.doesNotThrow(() => lost.tell(), 'nothing is lost')
  lost.isPending = true
  lost.keepUntold(new Error('of the server'))
  t.throws(() => lost.assertNone(), PendingRollbackError)
  lost.keepUntold(error)
  t.throws(() => lost.assertNone(), PendingRollbackError)
  t.throws(() => lost.tell(), error)
  t.throws(() => lost.tell(), PendingRollbackError)
})

t.test('one that was rolled back is not told any more', async t => {
  const lost = new LostTransaction()
  lost.isPending = true
  lost.keepUntold(new DisconnectedError())
  lost.isPending = false
  lost.isPending = true
  t.throws(() => lost.tell(), PendingRollbackError)
})
