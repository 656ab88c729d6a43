import t from 'tap'
import { openClient } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('the installed pg.Connection has the members that its types leave out', async t => {
  const { raw } = await openClient(t, postgres.url)
  for (const member of ['parsedStatements', 'submittedNamedStatements']) {
    t.type(Reflect.get(raw.connection, member), Object, `pg.Connection.${member} is undocumented`)
  }
  for (const member of [
    'parse',
    'bind',
    'describe',
    'execute',
    'flush',
    'sync',
    'query',
    'close',
    'sendCopyFail'
  ]) {
    t.type(Reflect.get(raw.connection, member), 'function')
  }
  for (const member of ['cork', 'uncork'])
    t.type(Reflect.get(raw.connection.stream, member), 'function')
  t.type(Reflect.get(raw, 'processID'), 'number', 'pg.Client.processID is undocumented')
})
