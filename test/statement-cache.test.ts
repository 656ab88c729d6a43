import t from 'tap'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
const text = 'select * from notes where id = $1'

t.beforeEach(() => postgres.admin('drop table if exists notes; create table notes (id int)'))

/** A connection whose client has prepared the text. */
async function openPrepared(test: Pick<typeof t, 'teardown'>, options = {}) {
  const { engine, log } = openEngine(test, postgres.url, options)
  const db = requestOf(engine)
  test.teardown(() => db.end())
  for (let i = 0; i < 3; i += 1) await db.query(text, [1])
  const prepared = async () => {
    const { rows } = await db.query<{ statement: string }>(
      'select statement from pg_prepared_statements where not from_sql'
    )
    return rows.map(({ statement }) => statement)
  }
  return { db, engine, log, prepared }
}

t.test('a read or write that comes back is prepared, nothing else', async t => {
  const { db, prepared } = await openPrepared(t)
  for (const other of ['set work_mem to default', 'begin', 'rollback', 'select pg_sleep(0)'])
    for (let i = 0; i < 3; i += 1) await db.query(other)
  t.same(await prepared(), [text])
  const insert = 'insert into notes values ($1)'
  for (let i = 0; i < 3; i += 1) await db.batch([{ text: insert, values: [i] }])
  t.ok((await prepared()).includes(insert))
})

t.test('statement_cache_size 0 prepares nothing', async t => {
  const { prepared } = await openPrepared(t, { statement_cache_size: 0 })
  t.same(await prepared(), [])
})

t.test('a table that changes under it goes unseen outside of a transaction', async t => {
  const { db, prepared } = await openPrepared(t)
  await postgres.admin('alter table notes add column title text')
  t.match((await db.query(text, [1])).fields, [{ name: 'id' }, { name: 'title' }])
  await db.query(text, [1])
  await db.query(text, [1])
  t.ok((await prepared()).includes(text), 'prepared anew')
})

t.test('so it does behind a value that could not be sent', async t => {
  const { db } = await openPrepared(t)
  const circular: Record<string, unknown> = {}
  circular.self = circular
  await t.rejects(db.query(text, [circular]), TypeError)
  await postgres.admin(
    "insert into notes values (1); alter table notes add column title text default 'one'"
  )
  for (let i = 0; i < 3; i += 1) {
    t.strictSame((await db.query(text, [1])).rows, [{ id: 1, title: 'one' }])
  }
})

t.test('in one, the error is the application’s, and the next one works', async t => {
  const { db } = await openPrepared(t)
  await postgres.admin('alter table notes add column title text')
  const run = () => db.transaction(tx => tx.query(text, [1]))
  await t.rejects(run(), { code: '0A000' })
  t.match((await run()).fields, [{ name: 'id' }, { name: 'title' }])
})

for (const forget of ['discard all', 'deallocate all']) {
  t.test(`${forget} goes unseen`, async t => {
    const { db } = await openPrepared(t)
    await db.query(forget)
    t.same((await db.query(text, [1])).rows, [])
    const insert = 'insert into notes values (1)'
    for (let i = 0; i < 3; i += 1) await db.query(insert)
    await db.query(forget)
    await db.query(insert)
    t.equal((await db.query(text, [1])).rows.length, 4, 'each was executed once')
  })
}

t.test(
  'where sessions forget again and again it is given up, with one line in the log',
  async t => {
    const { db, log, prepared } = await openPrepared(t)
    for (let i = 0; i < 5; i += 1) {
      await db.query('deallocate all')
      for (let j = 0; j < 3; j += 1) t.same((await db.query(text, [1])).rows, [])
    }
    t.same(await prepared(), [])
    const lines = log.filter(({ message }) => message.includes('no longer prepared'))
    t.match(lines, [{ level: 'info', fields: { err: { code: '26000' } } }])
  }
)

t.test('a name that is taken on the session, as behind a pooler, is given up at once', async t => {
  const { db } = await openPrepared(t)
  const { rows } = await db.query('select name from pg_prepared_statements')
  const { engine, log } = openEngine(t, postgres.url)
  const other = requestOf(engine)
  await other.query(`prepare "${rows[0]?.name}" as select 1`)
  for (let i = 0; i < 4; i += 1) t.same((await other.query(text, [1])).rows, [])
  t.match(log, [{ level: 'info', fields: { err: { code: '42P05' } } }])
  other.end()
})

t.test('a column that takes more than it did refuses a value once, not for good', async t => {
  const { db } = await openPrepared(t)
  const large = 5_000_000_000
  await postgres.admin('alter table notes alter column id type bigint')
  await t.rejects(db.query(text, [large]), { code: '22003' })
  t.same((await db.query(text, [large])).rows, [], 'prepared anew')
  for (const word of ['a', 'b'])
    await t.rejects(db.query(text, [word]), { code: '22P02' }, 'what is wrong stays wrong')
  t.same((await db.query(text, [large])).rows, [])
})
