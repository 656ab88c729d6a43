import t from 'tap'
import {
  at,
  atEvidence,
  atReadyAfter,
  exchangesOf,
  openProxied,
  roundTripsOf
} from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const insert = (id: number) => `insert into notes values (${id})`
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from notes order by id')).map(({ id }) => id)

t.test('a read costs one round trip', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.query('select id from notes where id = $1', [1])
  t.equal(roundTripsOf(conversation), 1)
})

t.test('an autocommit write costs one, what can be asked about it later included', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.query(insert(1))
  t.equal(roundTripsOf(conversation), 1)
  t.same(exchangesOf(conversation), [[insert(1), 'evidence']])
})

t.test('a transaction of one statement costs two', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(tx => tx.query(insert(1)))
  t.equal(roundTripsOf(conversation), 2)
  t.same(exchangesOf(conversation), [['BEGIN', insert(1), 'evidence'], ['COMMIT']])
})

t.test('a batch costs one', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.batch([insert(1), insert(2), 'select count(*) from notes'])
  t.equal(roundTripsOf(conversation), 1)
})

t.test('reads that are started together cost one', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  const results = await Promise.all([1, 2, 3, 4, 5].map(n => db.query('select $1::int n', [n])))
  t.same(
    results.map(({ rows }) => rows[0]?.n),
    [1, 2, 3, 4, 5]
  )
  t.equal(roundTripsOf(conversation), 1)
})

t.test('so do writes, each with an error and a question of its own', async t => {
  const { conversation, db, ledger } = await openProxied(t, postgres)
  const texts = [insert(1), insert(1), 'select 1', insert(2)]
  t.match(await Promise.allSettled(texts.map(text => db.query(text))), [
    { status: 'fulfilled' },
    { reason: { code: '23505' } },
    { status: 'fulfilled' },
    { status: 'fulfilled' }
  ])
  t.equal(roundTripsOf(conversation), 1)
  t.equal(
    exchangesOf(conversation)
      .flat()
      .filter(text => text === 'evidence').length,
    3
  )
  t.equal(ledger.outcome, 'applied')
  t.same(await ids(), [1, 2])
})

t.test('in a transaction they wait for BEGIN, and COMMIT for them', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(tx => Promise.all([1, 2, 3, 4].map(id => tx.query(insert(id)))))
  t.equal(roundTripsOf(conversation), 3)
  t.same(await ids(), [1, 2, 3, 4])
})

t.test('nothing goes along with what decides what comes behind it', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  const texts = ['select 1', 'begin', insert(1), 'select 2', 'rollback', 'set work_mem to default']
  await Promise.all([...texts, 'select 3', 'select 4'].map(text => db.query(text)))
  t.equal(roundTripsOf(conversation), 6)
  t.same(await ids(), [])
})

t.test('of writes that were sent together each is judged by what was heard of it', async t => {
  await t.test('the one that is known to have been committed succeeds', async t => {
    const { conversation, db, ledger } = await openProxied(t, postgres)
    conversation.cutAt(atReadyAfter('before', 'insert'), 'rst')
    const settled = await Promise.allSettled([1, 2].map(id => db.query(insert(id))))
    t.match(settled, [{ value: { rowCount: 1 } }, { status: 'rejected' }])
    t.equal(ledger.outcome, 'applied')
    t.ok((await ids()).includes(1))
  })

  await t.test('none of them by what was heard of another', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    conversation.cutAt(at('before', 'CommandComplete', insert(2)), 'rst')
    const settled = await Promise.allSettled([1, 2].map(id => db.query(insert(id))))
    t.match(settled, [
      { value: { rowCount: 1 } },
      { reason: { code: 'FST_DB_PARTLY_APPLIED', retryable: false } }
    ])
  })

  await t.test('and nobody knows of any when no answer has come', async t => {
    const { conversation, db, ledger } = await openProxied(t, postgres)
    conversation.cutAt(atEvidence('before'), 'rst')
    const settled = await Promise.allSettled([1, 2].map(id => db.query(insert(id))))
    t.match(settled, [
      { reason: { code: 'FST_DB_OUTCOME_UNKNOWN' } },
      { reason: { code: 'FST_DB_OUTCOME_UNKNOWN' } }
    ])
    t.equal(ledger.outcome, 'unknown')
  })
})

t.test('a cursor, and whoever has the client, comes behind what was sent together', async t => {
  const { db } = await openProxied(t, postgres)
  const reads = [1, 2, 3].map(n => db.query('select $1::int n', [n]))
  const raw = await db.client()
  t.match(await raw.query('select 4 n'), { rows: [{ n: 4 }] })
  const results = await Promise.all([...reads, db.query('select 5 n'), db.query('select 6 n')])
  t.same(
    results.map(({ rows }) => rows[0]?.n),
    [1, 2, 3, 5, 6]
  )
})

t.test('on a client of which nobody knows if it lives, reads cost one as well', async t => {
  const { conversation, db } = await openProxied(t, postgres, { pool_pre_ping_window: 0 })
  db.release()
  conversation.mark()
  await db.query('select 1')
  t.equal(roundTripsOf(conversation), 1)
  db.release()
  conversation.mark()
  await Promise.all([1, 2, 3, 4, 5].map(n => db.query('select $1::int n', [n])))
  t.equal(roundTripsOf(conversation), 1)
})

t.test('a write there costs two, and a transaction of one statement two', async t => {
  const { conversation, db } = await openProxied(t, postgres, { pool_pre_ping_window: 0 })
  db.release()
  conversation.mark()
  await db.query(insert(1))
  t.equal(roundTripsOf(conversation), 2)
  db.release()
  conversation.mark()
  await db.transaction(tx => tx.query(insert(2)))
  t.equal(roundTripsOf(conversation), 2)
})
