import t from 'tap'
import { ReportedRole } from '../../src/client/reported-role.js'

/** As it is when a session was opened on a server that reports this. */
function born(inHotStandby: string, readOnly: string): ReportedRole {
  const role = new ReportedRole()
  role.report('in_hot_standby', inHotStandby, false)
  role.report('default_transaction_read_only', readOnly, false)
  role.settle()
  return role
}

t.test('a session takes writes if neither setting is against it', t => {
  t.equal(born('off', 'off').isWriter, true)
  t.equal(born('on', 'off').isWriter, false)
  t.equal(born('off', 'on').isWriter, false)
  t.equal(new ReportedRole().isWriter, undefined, 'before PostgreSQL 14 nothing is said')
  t.end()
})

t.test('what a server says when a session begins is no change', t => {
  const role = new ReportedRole()
  t.equal(role.report('in_hot_standby', 'on', false), undefined)
  t.equal(role.report('default_transaction_read_only', 'off', false), undefined)
  t.equal(role.report('default_transaction_read_only', 'on', false), undefined)
  t.equal(role.report('TimeZone', 'UTC', false), undefined)
  role.settle()
  t.equal(role.wasWriter, false)
  t.end()
})

t.test('a server that ceases to take writes, begins to, or says the same again', t => {
  const role = born('off', 'off')
  t.equal(role.report('default_transaction_read_only', 'off', false), undefined)
  t.equal(role.report('default_transaction_read_only', 'on', false), 'reader')
  t.equal(role.wasWriter, true)
  t.equal(role.report('in_hot_standby', 'on', false), undefined, 'it is one already')
  const standby = born('on', 'off')
  t.equal(standby.wasWriter, false)
  t.equal(standby.report('in_hot_standby', 'off', false), 'writer', 'nobody can SET that')
  t.equal(standby.wasWriter, true)
  t.end()
})

t.test(
  "the application's own SET is no change of the server's, and hides what comes after it",
  t => {
    const role = born('off', 'off')
    t.equal(role.isOwn, false)
    role.noteText('set default_transaction_read_only = on')
    t.equal(role.report('default_transaction_read_only', 'on', false), undefined)
    t.equal(role.isOwn, true)
    role.isBeingSet = false
    // SET LOCAL … off, and its end.
    t.equal(role.report('default_transaction_read_only', 'off', false), undefined)
    t.equal(role.report('default_transaction_read_only', 'on', false), undefined)
    t.end()
  }
)

t.test('where nobody knows who did it, nothing is concluded, and a refused write counts', t => {
  const role = born('off', 'off')
  t.equal(role.report('default_transaction_read_only', 'on', true), undefined)
  t.equal(role.report('default_transaction_read_only', 'off', false), undefined)
  t.equal(role.isOwn, false)
  t.equal(role.wasWriter, true)
  t.end()
})

t.test('texts that may change it', t => {
  const isSetBy = (text: string) => {
    const role = new ReportedRole()
    role.noteText(text)
    return role.isBeingSet
  }
  t.equal(isSetBy('SET default_transaction_read_only = on'), true)
  t.equal(isSetBy('set session characteristics as transaction read  only'), true)
  t.equal(isSetBy("select set_config($1, 'on', false)"), true)
  t.equal(isSetBy("set timezone = 'UTC'"), false)
  t.end()
})
