import t from 'tap'
import { OwedCommit } from '../../src/client/owed-commit.js'

t.test('it is written once, and the transaction is over until the server has said so', t => {
  const owed = new OwedCommit()
  t.match(owed, { isOwed: false, isEnding: false })
  t.equal(owed.take(), undefined)

  owed.owe()
  t.match(owed, { isOwed: true, isEnding: true })
  owed.answered()
  t.match(owed, { isOwed: true }, 'an answer to something else says nothing about it')

  t.match(owed.take(), { text: 'COMMIT' })
  t.match(owed, { isOwed: false, isEnding: true })
  t.equal(owed.take(), undefined)

  owed.answered()
  t.match(owed, { isOwed: false, isEnding: false })
  t.end()
})
