import pg from 'pg'
import t from 'tap'
import { PgQuery, PgQueryDescendant } from '../../src/client/pg-query.js'

t.test('the installed pg.Query has the members that its types leave out', async t => {
  for (const member of ['submit', 'handleCommandComplete', 'handleReadyForQuery', 'handleError']) {
    t.type(
      Reflect.get(pg.Query.prototype, member),
      'function',
      `pg.Query.${member} is undocumented: our scripts call or override it`
    )
  }
  const query = new PgQuery({ text: 'select 1', name: 'n' }, [1])
  t.match(query, { text: 'select 1', name: 'n', values: [1], _result: {} })
  t.ok(Object.hasOwn(query._result, '_types'), 'the type parsers of a client are put here')
})

t.test('the installed pg.Query answers through its callback, once', async t => {
  const query = new PgQuery({ text: 'select 1' })
  const answers: unknown[][] = []
  query.callback = (...answer) => answers.push(answer)
  query.handleCommandComplete({ text: 'SELECT 0' }, {})
  query.handleReadyForQuery()
  t.match(answers, [[null, { command: 'SELECT' }]])
  const failing = new PgQuery({ text: 'select 1' })
  const reason = new Error('no')
  failing.callback = (...answer) => answers.push(answer)
  failing.handleError(reason, {})
  t.same(answers.slice(1), [[reason]])
})

t.test('a descendant is one of pg’s own queries, and has nothing of one', async t => {
  const descendant = new PgQueryDescendant()
  t.ok(descendant instanceof pg.Query)
  t.same(Object.keys(descendant), [])
})
