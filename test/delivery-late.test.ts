import t from 'tap'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { exchangesOf, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
t.beforeEach(() => postgres.admin('truncate notes'))

async function ids(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

function insert(id: number): string {
  return `insert into notes values (${id})`
}

t.test('a statement that has no client yet is not run outside of its transaction', async t => {
  for (const end of ['throws', 'returns'] as const) {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const late: Promise<unknown>[] = []
    const work = db.transaction(async tx => {
      late.push(...[insert(1), insert(2), `${insert(3)}; ${insert(4)}`].map(text => tx.query(text)))
      if (end === 'throws') throw new RangeError()
    })
    const [settled] = await Promise.allSettled([work])
    t.equal(settled?.status, end === 'throws' ? 'rejected' : 'fulfilled')
    const statuses = (await Promise.allSettled(late)).map(({ status }) => status)
    t.strictSame(statuses, ['rejected', 'rejected', 'rejected'], end)
    t.strictSame(await ids(), [], end)
    t.equal(db.inTransaction, false)
    db.end()
  }
})

t.test('what rejects beside a first statement takes it along', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const work = db.transaction(tx =>
    Promise.all([tx.query(insert(1)), Promise.reject(new RangeError())])
  )
  await t.rejects(work, RangeError)
  await db.query('select 1')
  t.strictSame(await ids(), [])
  t.equal(db.inTransaction, false)
  db.end()
})

t.test('the end of a transaction comes behind what was started in it', async t => {
  for (const [first, end] of ['throws', 'returns'].entries()) {
    const { conversation, db } = await openProxied(t, postgres)
    const both = [10 * first + 1, 10 * first + 2]
    const late: Promise<unknown>[] = []
    const work = db.transaction(async tx => {
      late.push(...both.map(id => tx.query(insert(id))))
      if (end === 'throws') throw new RangeError()
    })
    const outcomes = await Promise.allSettled([work, ...late])
    const isKept = outcomes[0]?.status === 'fulfilled' && outcomes[1]?.status === 'fulfilled'
    const isThere = (await ids()).filter(id => both.includes(id))
    t.strictSame(isThere, isKept ? both : [], end)
    const last = exchangesOf(conversation).at(-1)
    t.ok(last === undefined || /^(COMMIT|ROLLBACK)$/.test(last.join()), 'nothing came behind it')
    t.equal(db.inTransaction, false)
    await db.query(insert(100 + first))
    t.ok((await ids()).includes(100 + first), 'the connection is in no transaction')
  }
})
