import t from 'tap'
import { ReportedRole } from '../src/client/reported-role.js'
import { Roles } from '../src/roles.js'

function roleOf(isWriter: boolean | undefined): ReportedRole {
  const role = new ReportedRole()
  if (isWriter !== undefined) {
    role.report('in_hot_standby', isWriter ? 'off' : 'on', false)
    role.report('default_transaction_read_only', 'off', false)
  }
  role.settle()
  return role
}

t.test('an engine that has met only standbys is there to read: nothing is replaced', t => {
  const roles = new Roles()
  roles.met(roleOf(false))
  t.same(roles.refused(roleOf(false)), { failure: 'read_only', scope: 'none' })
  t.end()
})

t.test('one that has met a writer is on the wrong server now', t => {
  const roles = new Roles()
  roles.met(roleOf(true))
  roles.met(roleOf(false))
  t.same(roles.refused(roleOf(true)), { failure: 'read_only', scope: 'generation' })
  t.same(roles.refused(roleOf(false)), { failure: 'read_only', scope: 'client' })
  t.end()
})

t.test('a standby that was promoted is a writer', t => {
  const roles = new Roles()
  const role = roleOf(false)
  roles.met(role)
  role.report('in_hot_standby', 'off', false)
  roles.met(role)
  t.same(roles.refused(role), { failure: 'read_only', scope: 'generation' })
  t.end()
})

t.test('where the server does not say, it is taken for a writer', t => {
  const roles = new Roles()
  roles.met(roleOf(undefined))
  t.same(roles.refused(roleOf(undefined)), { failure: 'read_only', scope: 'generation' })
  t.end()
})

t.test("the application's own SET makes a refused write its own affair", t => {
  const roles = new Roles()
  const role = roleOf(true)
  roles.met(role)
  role.noteText('set default_transaction_read_only = on')
  role.report('default_transaction_read_only', 'on', false)
  t.same(roles.refused(role), { failure: 'statement', scope: 'none' })
  t.end()
})
