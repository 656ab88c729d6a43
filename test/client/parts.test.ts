import pg from 'pg'
import t from 'tap'
import { PgQuery } from '../../src/client/parts.js'
import { openClient } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('the installed pg.Query has the members that its types leave out', t => {
  const members = [
    'submit',
    'prepare',
    'handleRowDescription',
    'handleDataRow',
    'handleCommandComplete',
    'handleEmptyQuery',
    'handleCopyInResponse',
    'handleCopyData',
    'handleReadyForQuery',
    'handleError'
  ]
  for (const member of members) {
    t.type(
      Reflect.get(pg.Query.prototype, member),
      'function',
      `pg.Query.${member} is undocumented: our statements call or override it`
    )
  }
  const query = new PgQuery({ text: 'select 1', name: 'n' }, [1])
  t.match(query, { text: 'select 1', name: 'n', values: [1], _result: {} })
  t.ok(Object.hasOwn(query._result, '_types'), 'the type parsers of a client are put here')
  t.end()
})

t.test('the installed pg.Query answers through its callback, once', t => {
  const query = new PgQuery({ text: 'select 1' })
  const answers: unknown[][] = []
  query.callback = (...answer) => answers.push(answer)
  query.handleCommandComplete({ text: 'SELECT 0' }, {} as never)
  query.handleReadyForQuery()
  t.match(answers, [[null, { command: 'SELECT' }]])
  const failing = new PgQuery({ text: 'select 1' })
  const reason = new Error('no')
  failing.callback = (...answer) => answers.push(answer)
  failing.handleError(reason, {})
  t.same(answers.slice(1), [[reason]])
  t.end()
})

t.test('the installed pg.Connection has the members that its types leave out', async t => {
  const { raw } = await openClient(t, postgres.url)
  for (const member of ['parsedStatements', 'submittedNamedStatements']) {
    t.type(Reflect.get(raw.connection, member), Object, `pg.Connection.${member} is undocumented`)
  }
  for (const member of [
    'parse',
    'bind',
    'execute',
    'flush',
    'sync',
    'query',
    'close',
    'describe'
  ]) {
    t.type(Reflect.get(raw.connection, member), 'function')
  }
  for (const member of ['cork', 'uncork'])
    t.type(Reflect.get(raw.connection.stream, member), 'function')
  t.type(Reflect.get(raw, 'processID'), 'number', 'pg.Client.processID is undocumented')
})
