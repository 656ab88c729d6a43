import t from 'tap'
import { maySetRole, ReportedRole } from '../../src/client/reported-role.js'

/** As it is when a session was opened on a server that reports this. */
function born(inHotStandby: string, readOnly: string): ReportedRole {
  const role = new ReportedRole()
  role.report('in_hot_standby', inHotStandby, 'server')
  role.report('default_transaction_read_only', readOnly, 'server')
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
  t.equal(role.report('in_hot_standby', 'on', 'server'), undefined)
  t.equal(role.report('default_transaction_read_only', 'off', 'server'), undefined)
  t.equal(role.report('default_transaction_read_only', 'on', 'application'), undefined)
  t.equal(role.report('TimeZone', 'UTC', 'server'), undefined)
  role.settle()
  t.equal(role.wasWriter, false)
  t.end()
})

t.test('a server that ceases to take writes, begins to, or says the same again', t => {
  const role = born('off', 'off')
  t.equal(role.report('default_transaction_read_only', 'off', 'server'), undefined)
  t.equal(role.report('default_transaction_read_only', 'on', 'server'), 'reader')
  t.equal(role.wasWriter, true)
  t.equal(role.report('in_hot_standby', 'on', 'server'), undefined, 'it is one already')
  const standby = born('on', 'off')
  t.equal(standby.wasWriter, false)
  t.equal(standby.report('in_hot_standby', 'off', 'application'), 'writer', 'nobody can SET that')
  t.equal(standby.wasWriter, true)
  t.end()
})

t.test(
  "the application's own SET is no change of the server's, and hides what comes after it",
  t => {
    const role = born('off', 'off')
    t.equal(role.isOwn, false)
    t.equal(role.report('default_transaction_read_only', 'on', 'application'), undefined)
    t.equal(role.isOwn, true)
    // SET LOCAL … off, and its end.
    t.equal(role.report('default_transaction_read_only', 'off', 'server'), undefined)
    t.equal(role.report('default_transaction_read_only', 'on', 'server'), undefined)
    t.end()
  }
)

t.test('where nobody knows who did it, nothing is concluded, and a refused write counts', t => {
  const role = born('off', 'off')
  t.equal(role.report('default_transaction_read_only', 'on', 'unknown'), undefined)
  t.equal(role.report('default_transaction_read_only', 'off', 'server'), undefined)
  t.equal(role.isOwn, false)
  t.equal(role.wasWriter, true)
  t.end()
})

t.test('texts that may change it', t => {
  for (const text of [
    'SET default_transaction_read_only = on',
    'set session characteristics as transaction read  only',
    "select set_config($1, 'on', false)"
  ]) {
    t.equal(maySetRole(text), true, text)
  }
  t.equal(maySetRole("set timezone = 'UTC'"), false)
  t.end()
})
