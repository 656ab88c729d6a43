import t from 'tap'
import { failedStatement, recordStatement } from '../src/failed-statement.js'

t.test('an error is known to come from its statement, and nothing else is', t => {
  const error = new Error('duplicate key')
  recordStatement(error, 'insert into notes values (1)')
  recordStatement('thrown text', 'select 1')
  recordStatement(new Error('another'), undefined)
  t.equal(failedStatement(error), 'insert into notes values (1)')
  t.equal(failedStatement(new Error('duplicate key')), undefined)
  t.end()
})
