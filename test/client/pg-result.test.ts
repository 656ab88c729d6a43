import pg from 'pg'
import t from 'tap'
import { PgResult, RowShape } from '../../src/client/pg-result.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
const client = new pg.Client(postgres.url)
await client.connect()
// As the installed pg makes them.
const { fields } = await client.query("select 7 as id, 'x' as title")
await client.end()

function described(rowMode?: string) {
  const result = new PgResult(rowMode, pg.types)
  result.addFields(fields.slice())
  return result
}

t.test('the installed pg.Result has the members that its types leave out', async t => {
  const result = new PgResult('array', { getTypeParser: () => Number })
  for (const member of ['addFields', 'parseRow', 'addCommandComplete'] as const) {
    t.type(result[member], 'function', `pg.Result.${member} is undocumented`)
  }
  t.ok(result instanceof pg.Result)
  t.type(result._types.getTypeParser, 'function')
  result.addFields([fields[0] as pg.FieldDef])
  t.match(result._parsers, [Number])
  t.same(result._prebuiltEmptyResultObject, { id: null }, 'rows begin as a copy of it')
  t.same(result.parseRow(['7']), [7])
})

t.test('a result that a shape was applied to parses rows as if it had been described', async t => {
  for (const rowMode of [undefined, 'array']) {
    const shape = new RowShape(fields, described(rowMode))
    const result = new PgResult(rowMode, pg.types)
    shape.applyTo(result)
    t.strictSame(result.parseRow(['7', null]), described(rowMode).parseRow(['7', null]))
    t.strictSame(result.fields, fields)
  }
})

t.test('results of one shape have nothing in common that can be changed', async t => {
  const shape = new RowShape(fields, described())
  const [first, second] = [new PgResult(undefined, pg.types), new PgResult(undefined, pg.types)]
  shape.applyTo(first)
  Object.assign(first.fields[0] ?? {}, { name: 'renamed' })
  first.fields.length = 0
  shape.applyTo(second)
  const row = second.parseRow(['1', 'one']) as Record<string, unknown>
  row.other = true
  t.strictSame(second.fields, fields)
  t.strictSame(second.parseRow(['2', 'two']), { id: 2, title: 'two' })
})

t.test('a parser that was set since counts', async t => {
  const shape = new RowShape(fields, described())
  const result = new PgResult(undefined, { getTypeParser: () => (value: string) => `<${value}>` })
  shape.applyTo(result)
  t.strictSame(result.parseRow(['7', 'x']), { id: '<7>', title: '<x>' })
})

t.test('without rows there is nothing to describe', async t => {
  const result = new PgResult(undefined, pg.types)
  new RowShape([]).applyTo(result)
  t.strictSame(result.fields, [])
})

t.test('where pg keeps no empty row, the fields are added as pg does it', async t => {
  const result = new PgResult(undefined, pg.types)
  new RowShape(fields).applyTo(result)
  t.strictSame(result.parseRow(['7', 'x']), { id: 7, title: 'x' })
})
