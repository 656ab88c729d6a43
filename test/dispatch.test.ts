import t from 'tap'
import { at, exchangesOf, openProxied } from './fixtures/open-proxied.js'
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

t.test('BEGIN rides with the first statement, and asks with it for the transaction', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(async tx => {
    await tx.query(insert(1))
    await tx.query('select * from notes')
  })
  t.strictSame(exchangesOf(conversation), [
    ['BEGIN', insert(1), 'evidence'],
    ['select * from notes'],
    ['COMMIT']
  ])
  t.strictSame(await ids(), [1])
})

t.test('nothing is sent for a transaction without a statement', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  t.equal(await db.transaction(async () => 'done'), 'done')
  await t.rejects(
    db.transaction(() => Promise.reject(new RangeError())),
    RangeError
  )
  t.strictSame(exchangesOf(conversation), [])
})

t.test('the transaction is asked for once, when there is something to ask about', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(async tx => {
    await tx.query('select * from notes')
    await tx.query('update notes set id = 2')
    await tx.query(insert(1))
    await tx.query(insert(2))
    await tx.transaction(nested => nested.query(insert(3)))
  })
  t.strictSame(exchangesOf(conversation), [
    ['BEGIN', 'SHOW transaction_isolation', 'select * from notes'],
    ['update notes set id = 2', 'evidence'],
    [insert(1), 'evidence'],
    [insert(2)],
    ['SAVEPOINT fastify_pg_engine_1'],
    [insert(3)],
    ['RELEASE SAVEPOINT fastify_pg_engine_1'],
    ['COMMIT']
  ])
})

t.test('each transaction is asked for, and each autocommit write, but no read', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.query(insert(1))
  await db.query('select * from notes')
  await db.query({ text: 'select * from notes', readOnly: true })
  await db.query('begin')
  await db.query(insert(2))
  await db.query('commit')
  await db.transaction(tx => tx.query(insert(3)))
  await db.transaction(tx => tx.query('select * from notes'), { readOnly: true })
  await db.query('select 1')
  t.strictSame(exchangesOf(conversation), [
    [insert(1), 'evidence'],
    ['select * from notes'],
    ['BEGIN READ ONLY', 'select * from notes', 'COMMIT'],
    ['begin'],
    [insert(2), 'evidence'],
    ['commit'],
    ['BEGIN', insert(3), 'evidence'],
    ['COMMIT'],
    ['BEGIN READ ONLY', 'SHOW transaction_isolation', 'select * from notes'],
    ['COMMIT'],
    ['select 1']
  ])
})

t.test('nothing is asked where doubt is not to be resolved', async t => {
  const { conversation, db } = await openProxied(t, postgres, { resolve_doubt: false })
  await db.query(insert(1))
  await db.transaction(tx => tx.query(insert(2)))
  t.strictSame(exchangesOf(conversation), [[insert(1)], ['BEGIN', insert(2)], ['COMMIT']])
})

t.test(
  'a server has said which one it is when its session began, and is not asked again',
  async t => {
    const { conversation, db } = await openProxied(t, postgres)
    for (let id = 1; id <= 3; id += 1) await db.query(insert(id))
    const asked = conversation.dialogue.filter(
      ({ name, statement }) => name === 'Execute' && statement.includes('pg_control_system')
    )
    t.equal(asked.length, 0)
  }
)

t.test('a batch is one round trip, with BEGIN and COMMIT of its own', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.batch([insert(1), 'select * from notes', insert(2)])
  t.strictSame(exchangesOf(conversation), [
    ['BEGIN', insert(1), 'select * from notes', insert(2), 'evidence', 'COMMIT']
  ])
  await t.rejects(db.batch([insert(3), 'select 1/0', insert(4)]), { code: '22012' })
  t.equal(db.inTransaction, false)
  t.strictSame(await ids(), [1, 2])
})

for (const [name, bad] of Object.entries({
  'a statement that fails': { text: 'select 1/0', values: [] },
  'a value that cannot be sent': {
    text: 'insert into notes values ($1)',
    values: [null, 5n, Symbol()]
  },
  'a value that refuses': {
    text: 'insert into notes values ($1)',
    values: [
      {
        toPostgres() {
          throw new RangeError('no')
        }
      }
    ]
  }
})) {
  t.test(`a batch with ${name} takes nothing with it that was started beside it`, async t => {
    const { db } = await openProxied(t, postgres)
    const [batch, beside] = await Promise.allSettled([
      db.batch([insert(1), bad]),
      db.query(insert(9))
    ])
    t.match([batch.status, beside.status], ['rejected', 'fulfilled'])
    t.strictSame(await ids(), [9])
    t.match(db, { inTransaction: false, outcome: 'applied' })
  })
}

t.test('a failure stays that of the statement where its ROLLBACK is lost', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  conversation.cutAt(at('before', 'Execute', 'ROLLBACK'), 'fin')
  await t.rejects(db.batch([insert(1), 'select 1/0']), { code: '22012' })
  t.strictSame(await ids(), [])
})
