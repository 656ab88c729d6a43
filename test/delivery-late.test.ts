import pg from 'pg'
import t from 'tap'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { at, exchangesOf, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')

let ids = 0
function freshId(): number {
  ids += 1
  return ids
}

async function idsAmong(wanted: number[]): Promise<number[]> {
  const text = 'select id from notes where id = any($1) order by id'
  const rows = await postgres.admin<{ id: number }>(text, [wanted])
  return rows.map(({ id }) => id)
}

function insert(id: number): string {
  return `insert into notes values (${id})`
}

t.test('a statement that nobody waits for is run in its transaction, or not at all', async t => {
  for (const hasClient of [true, false]) {
    for (const end of ['throws', 'returns']) {
      const { conversation, db } = await openProxied(t, postgres)
      if (!hasClient) db.release()
      const both = [freshId(), freshId()]
      const next = freshId()
      const late: Promise<unknown>[] = []
      const work = db.transaction(async tx => {
        late.push(...both.map(id => tx.query(insert(id))))
        if (end === 'throws') throw new RangeError()
      })
      const [ended, ...outcomes] = await Promise.allSettled([work, ...late])
      t.equal(ended?.status, end === 'throws' ? 'rejected' : 'fulfilled')
      const hasRun = ended?.status === 'fulfilled' && outcomes[0]?.status === 'fulfilled'
      t.strictSame(await idsAmong(both), hasRun ? both : [], end)
      const last = exchangesOf(conversation).at(-1)?.join()
      if (last !== undefined) t.match(last, /^(COMMIT|ROLLBACK)$/, 'nothing comes behind it')
      t.equal(db.inTransaction, false)
      await db.query(insert(next))
      t.strictSame(await idsAmong([next]), [next], 'the connection is in none')
    }
  }
})

t.test('what takes the first client is no exception, nor is a script', async t => {
  for (const end of ['throws', 'returns']) {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const [a, b, c] = [freshId(), freshId(), freshId()] as const
    const late: Promise<unknown>[] = []
    const work = db.transaction(async tx => {
      late.push(...[insert(a), `${insert(b)}; ${insert(c)}`].map(text => tx.query(text)))
      if (end === 'throws') throw new RangeError()
    })
    const [ended, ...outcomes] = await Promise.allSettled([work, ...late])
    const isKept = ended?.status === 'fulfilled'
    const expected = [[a], [b, c]].filter((_, index) => outcomes[index]?.status === 'fulfilled')
    t.strictSame(await idsAmong([a, b, c]), isKept ? expected.flat() : [], end)
    t.equal(db.inTransaction, false)
    db.end()
  }
})

t.test('what rejects beside a first statement takes it along', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const id = freshId()
  const work = db.transaction(tx =>
    Promise.all([tx.query(insert(id)), Promise.reject(new RangeError())])
  )
  await t.rejects(work, RangeError)
  await db.query('select 1')
  t.strictSame(await idsAmong([id]), [])
  t.equal(db.inTransaction, false)
  db.end()
})

t.test(
  'nothing slips in behind the end of a route transaction, to be committed by itself',
  async t => {
    for (const how of ['COMMIT', 'ROLLBACK'] as const) {
      const { db } = await openProxied(t, postgres)
      db.beginRoute({})
      const [inside, late] = [freshId(), freshId()]
      await db.query(insert(inside))
      const ended = db.endRoute(how)
      await t.rejects(db.query(insert(late)), { code: 'FST_DB_CONNECTION_CLOSED' })
      await ended
      await t.rejects(db.query(insert(late)), { code: 'FST_DB_CONNECTION_CLOSED' })
      t.strictSame(await idsAmong([inside, late]), how === 'COMMIT' ? [inside] : [])
    }
  }
)

t.test(
  'a COMMIT in a query of a library is refused in a transaction, and seen by the ledger',
  async t => {
    const { conversation, db } = await openProxied(t, postgres)
    const id = freshId()
    for (const text of ['commit', `${insert(id)}; commit`]) {
      await db.transaction(async tx => {
        t.throws(() => tx.query(new pg.Query(text) as never), { code: 'FST_DB_TRANSACTION_STATE' })
      })
    }
    await db.query('begin')
    await db.query(insert(id))
    await new Promise<void>((resolve, reject) => {
      const commit = new pg.Query('commit', undefined, error => (error ? reject(error) : resolve()))
      db.query(commit as never)
    })
    conversation.cutAt(at('before', 'Execute', 'select 1'), 'fin')
    await db.query('select 1').catch(() => {})
    t.equal(db.outcome, 'unknown')
    t.strictSame(await idsAmong([id]), [id])
  }
)
