import t, { type Test } from 'tap'
import { openEngine, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')

const ONE = { pool_size: 1, max_overflow: 0 }

/** A block that works on a connection of its own, and what was sent for it and for whoever comes next. */
async function inBlock(t: Test, texts: readonly string[], error?: Error): Promise<string[]> {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    ...ONE,
    resolve_doubt: false,
    half_open_timeout: 0
  })
  const block = async () => {
    await using connection = await engine.connect()
    for (const text of texts) await connection.query(text)
    t.equal(engine.status().checkedOut, 1)
    if (error) throw error
  }
  if (error) await t.rejects(block(), error)
  else await block()
  t.ok(await servedBy(engine), 'the next one is served')
  t.match(engine.status(), { size: 1, idle: 1, checkedOut: 0 })
  return statements.slice(0, -1)
}

t.test(
  'P04: a block gives its connection back, also when it throws, and the error passes',
  async t => {
    const error = new Error('of the block')
    t.same(await inBlock(t, ['select 1']), ['select 1'])
    t.same(await inBlock(t, ['select 1'], error), ['select 1'])
  }
)

t.test('T12: a block left with an open transaction rolls it back', async t => {
  const texts = ['begin', 'insert into notes values (1)']
  t.same(await inBlock(t, texts), [...texts, 'ROLLBACK'])
  t.same(await inBlock(t, texts, new Error('of the block')), [...texts, 'ROLLBACK'])
  t.same(await postgres.admin('select * from notes'), [])
})

t.test(
  'T22: a rollback by hand inside the block leaves nothing to roll back at its end',
  async t => {
    const texts = ['begin', 'insert into notes values (1)', 'rollback', 'select 1']
    t.same(await inBlock(t, texts), texts)
    t.same(await postgres.admin('select * from notes'), [])
  }
)
