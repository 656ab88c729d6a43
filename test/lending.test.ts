import PgCursor from 'pg-cursor'
import t from 'tap'
import { at, exchangesOf, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
t.beforeEach(() => postgres.admin('truncate notes'))

const open = () => openProxied(t, postgres, { pool_size: 1, max_overflow: 0 })
const texts = ({ conversation }: Awaited<ReturnType<typeof open>>) =>
  exchangesOf(conversation).flat()

t.test('a query of a library’s own neither overtakes nor is overtaken', async t => {
  const opened = await open()
  const { db } = opened
  const before = db.query('select 1 a')
  const read = db.query(new PgCursor('select 2 b')).read(2)
  const behind = db.query('select 3 c')
  t.match(await read, [{ b: 2 }])
  t.match(await Promise.all([before, behind]), [{ rows: [{ a: 1 }] }, { rows: [{ c: 3 }] }])
  t.same(texts(opened), ['select 1 a', 'select 2 b', 'select 3 c'])
})

t.test('the first of a transaction has BEGIN go before it', async t => {
  for (const [first, work] of Object.entries({
    cursor: "insert into notes values (1) returning 'cursor'",
    script: 'insert into notes values (1); select 2'
  })) {
    const opened = await open()
    await opened.db.transaction(async tx => {
      if (first === 'script') await tx.query(work)
      else await tx.query(new PgCursor(work)).read(2)
      await tx.query('insert into notes values (2)')
    })
    t.match(texts(opened)[0], 'BEGIN', first)
    t.match(texts(opened)[1], work)
    t.equal(opened.db.outcome, 'applied')
  }
  t.equal((await postgres.admin('select from notes')).length, 4)
})

t.test('BEGIN that is lost takes along what was to follow it', async t => {
  const { conversation, db } = await open()
  conversation.cutAt(at('before', 'Execute', 'BEGIN'), 'fin')
  await t.rejects(
    db.transaction(tx => tx.query('insert into notes values (1); select 2')),
    { code: 'FST_DB_DISCONNECTED', outcome: 'none' }
  )
  t.same(await postgres.admin('select * from notes'), [])
})

t.test('what was lost must be rolled back before a text of several runs', async t => {
  const { conversation, db } = await open()
  await db.query('begin')
  conversation.cut('fin')
  await t.rejects(db.query('insert into notes values (1)'), { code: 'FST_DB_DISCONNECTED' })
  for (const text of ['select 1; select 2', new PgCursor('select 1')]) {
    const started = async () => (typeof text === 'string' ? db.query(text) : db.query(text))
    await t.rejects(started(), { code: 'FST_DB_PENDING_ROLLBACK' })
  }
  await db.query('rollback')
  t.match(await db.query('select 1; select 2'), [{ rowCount: 1 }, { rowCount: 1 }])
})
