import t from 'tap'
import { OwedCommit } from '../../src/client/owed-commit.js'
import { ControlPart } from '../../src/client/parts.js'

t.test('it is written once, and the transaction is over until the server has said so', t => {
  const owed = new OwedCommit()
  const commit = [new ControlPart('COMMIT')]
  t.match(owed, { isOwed: false, isEnding: false })
  t.strictSame(owed.take(), [])

  owed.owe(commit)
  t.match(owed, { isOwed: true, isEnding: true })
  owed.answered()
  t.match(owed, { isOwed: true }, 'an answer to something else says nothing about it')

  t.equal(owed.take(), commit)
  t.match(owed, { isOwed: false, isEnding: true })
  t.strictSame(owed.take(), [])

  owed.answered()
  t.match(owed, { isOwed: false, isEnding: false })
  t.end()
})
