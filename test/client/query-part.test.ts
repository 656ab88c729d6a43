import pg from 'pg'
import t from 'tap'
import { Exchange } from '../../src/client/exchange.js'
import { QueryPart } from '../../src/client/query-part.js'
import { StatementNames } from '../../src/client/statements.js'
import { openClient } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int, title text)')
await postgres.admin("insert into notes values (1, 'one')")

t.test('the installed pg converts values by a member that its types leave out', async t => {
  const utils: unknown = Reflect.get(pg, 'utils')
  t.type(Reflect.get(Object(utils), 'prepareValue'), 'function')
})

/** A session that prepares what comes back, and what passes on its wire. */
async function openPreparing(test: Pick<typeof t, 'teardown'>, config = {}) {
  const proxy = await startProtocolProxy(test, postgres)
  const names = new StatementNames(10, () => t.fail('nothing is given up'))
  const client = await openClient(test, proxy.proxy.url(postgres.url), {
    config,
    statements: names
  })
  const { statements } = client
  const conversation = proxy.of(client.pid)
  const run = async (text: string, values: unknown[] = [], settings = {}) => {
    const part = new QueryPart({ text, ...settings }, values, true)
    await client.run(new Exchange([part], () => {}, { statements }))
    return part.result as pg.QueryResult
  }
  /** How often messages of this name passed since the last time. */
  const count = (name: string) => {
    const found = conversation.dialogue.filter(one => one.name === name).length
    conversation.mark()
    return found
  }
  return { client, count, run }
}

t.test('what a prepared statement returns is described once', async t => {
  const { count, run } = await openPreparing(t)
  const text = 'select id, title from notes where id = $1'
  const first = await run(text, [1])
  await run(text, [1])
  count('RowDescription')
  for (let i = 0; i < 3; i += 1) {
    const again = await run(text, [1])
    t.strictSame(again.rows, first.rows)
    t.strictSame(again.fields, first.fields)
  }
  t.equal(count('RowDescription'), 0)
})

t.test('each result has its own fields, rows and shape, prepared or not', async t => {
  const { run } = await openPreparing(t)
  const text = 'select id, title from notes'
  for (let i = 0; i < 3; i += 1) {
    const result = await run(text)
    result.fields.push({} as pg.FieldDef)
    result.rows.push({})
  }
  t.match(await run(text), { fields: { length: 2 }, rows: { length: 1 } })
  t.strictSame((await run(text, [], { rowMode: 'array' })).rows, [[1, 'one']])
  t.strictSame((await run(text)).rows, [{ id: 1, title: 'one' }])
})

t.test('type parsers set later count for a statement prepared before', async t => {
  const { client, run } = await openPreparing(t)
  for (let i = 0; i < 3; i += 1) t.match(await run('select 1 x'), { rows: [{ x: 1 }] })
  client.raw.setTypeParser(pg.types.builtins.INT4, value => `int ${value}`)
  t.match(await run('select 1 x'), { rows: [{ x: 'int 1' }] })
})

t.test('what returns nothing is known to as well, and an empty row is one', async t => {
  const { count, run } = await openPreparing(t)
  await run('update notes set title = title')
  await run('update notes set title = title')
  count('NoData')
  t.match(await run('update notes set title = title'), { rowCount: 1, rows: [], fields: [] })
  t.equal(count('NoData'), 0)
  for (let i = 0; i < 4; i += 1) t.strictSame((await run('select')).rows, [{}])
})

t.test('binary results are described every time', async t => {
  const { run } = await openPreparing(t)
  const text = 'select 258::int4 x'
  const settings = { binary: true }
  for (let i = 0; i < 4; i += 1) {
    t.match(await run(text, [], settings), { rows: [{ x: 258 }], fields: [{ format: 'binary' }] })
    t.match(await run(text), { rows: [{ x: 258 }], fields: [{ format: 'text' }] })
  }
})

t.test('values given beside a query count before those in it', async t => {
  const { run } = await openPreparing(t)
  t.match(await run('select $1::int x', [2], { values: [1] }), { rows: [{ x: 2 }] })
})

t.test('a value that cannot be sent is its error, and leaves the session as it was', async t => {
  const { run } = await openPreparing(t)
  const circular: Record<string, unknown> = {}
  circular.self = circular
  for (let i = 0; i < 3; i += 1) {
    await t.rejects(run('select $1::json x', [circular]), TypeError)
    t.match(await run('select $1::json x', [{ a: i }]), { rows: [{ x: { a: i } }] })
  }
})

t.test("a search for parsers that throws is the statement's error, prepared or not", async t => {
  let isBroken = false
  const getTypeParser = (...query: Parameters<typeof pg.types.getTypeParser>) => {
    if (isBroken) throw new Error('no parser')
    return pg.types.getTypeParser(...query)
  }
  const { run } = await openPreparing(t, { types: { getTypeParser } })
  const text = 'select id from notes'
  for (const _time of [1, 2, 3]) t.match((await run(text)).rows, [{ id: 1 }])
  isBroken = true
  await t.rejects(run(text), { message: 'no parser' }, 'described before')
  await t.rejects(run('select title from notes'), { message: 'no parser' }, 'described now')
  const types = { getTypeParser: 5 }
  await t.rejects(run('select 1', [], { types }), TypeError, 'of its own')
  isBroken = false
  t.match((await run(text)).rows, [{ id: 1 }], 'the session goes on')
})

t.test('a value whose text is none is refused', async t => {
  const { run } = await openPreparing(t)
  const values = [{ toPostgres: () => ({ toJSON: () => undefined }) }]
  await t.rejects(run('select $1::text', values), { message: /^Expected a value to become text/ })
})
