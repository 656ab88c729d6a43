import t from 'tap'
import type { Client } from '../src/client/client.js'
import { Exchange } from '../src/client/exchange.js'
import { ControlPart } from '../src/client/parts.js'
import { QueryPart } from '../src/client/query-part.js'
import { openClient, runScript } from './fixtures/open-client.js'
import { startPostgres } from './fixtures/postgres.js'
import { STATEMENTS, STATEMENTS_SCHEMA, type Statement } from './fixtures/statements.js'

const postgres = await startPostgres(t)
const client = await openClient(t, postgres.url)
await runScript(client, STATEMENTS_SCHEMA)
await runScript(client, 'insert into notes (id) values (1)')

const SYNTAX_ERROR = '42601'

type Answer = { xid: unknown; code: unknown }

/** Runs a statement by itself in a transaction that is rolled back: whether it took a transaction id, or its error. */
async function answerTo(client: Client, begin: string, statement: Statement): Promise<Answer> {
  const query = new QueryPart({ text: statement.text }, statement.values?.slice())
  const xid = new QueryPart({ text: 'select pg_current_xact_id_if_assigned()::text xid' }, [])
  try {
    await client.run(new Exchange([new ControlPart(begin), query, xid], () => {}))
    return { xid: (xid.result as { rows: { xid: unknown }[] }).rows[0]?.xid, code: undefined }
  } catch (error) {
    if (client.lost !== undefined) throw error
    return { xid: undefined, code: Reflect.get(error as Error, 'code') }
  } finally {
    if (client.isInTransaction) await runScript(client, 'rollback')
  }
}

const isSingle = ({ kind, several }: Statement) => kind !== 'control' && !several

t.test('nothing that is called a plain read writes', async t => {
  const reads = STATEMENTS.filter(({ kind, refused }) => kind === 'read' && !refused)
  t.ok(reads.length > 150)
  for (const statement of reads) {
    const inReadOnly = await answerTo(client, 'BEGIN READ ONLY', statement)
    t.strictSame(inReadOnly, { xid: null, code: undefined }, statement.text)
    const answer = await answerTo(client, 'BEGIN READ WRITE', statement)
    t.strictSame(answer, { xid: null, code: undefined }, `${statement.text}, though it may`)
  }
})

t.test('what is refused is so by the server, whatever it is called', async t => {
  const refused = STATEMENTS.filter(statement => statement.refused && isSingle(statement))
  for (const statement of refused) {
    for (const begin of ['BEGIN READ WRITE', 'BEGIN READ ONLY']) {
      // Without a statement in it there is nothing to refuse.
      const isEmpty = /^(\s|;|--.*|\/\*.*\*\/)*$/.test(statement.text)
      const { xid, code } = await answerTo(client, begin, statement)
      t.ok(isEmpty ? xid === null : code !== undefined, JSON.stringify(statement.text.slice(0, 99)))
    }
  }
})

t.test('what has the shape of a query cannot write where it may not', async t => {
  const shaped = STATEMENTS.filter(({ readOnlyShape, refused }) => readOnlyShape && !refused)
  t.ok(shaped.length > 300)
  for (const statement of shaped) {
    const { xid, code } = await answerTo(client, 'BEGIN READ ONLY', statement)
    t.ok(code !== undefined || xid === null, statement.text)
  }
})

t.test('a text of one statement is one for the extended protocol too', async t => {
  const single = STATEMENTS.filter(
    statement => isSingle(statement) && !statement.refused && statement.text !== 'copy t from stdin'
  )
  t.ok(single.length > 300)
  for (const statement of single) {
    const { code } = await answerTo(client, 'BEGIN', statement)
    t.not(code, SYNTAX_ERROR, statement.text)
  }
})

t.test('a text of several statements is refused as one', async t => {
  const several = STATEMENTS.filter(({ several }) => several)
  t.ok(several.length > 20)
  for (const statement of several.filter(({ text }) => !text.startsWith('create function'))) {
    const { code } = await answerTo(client, 'BEGIN', statement)
    t.equal(code, SYNTAX_ERROR, statement.text)
  }
})
