import t from 'tap'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { exchangesOf, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy, type TestProxy } from './fixtures/proxy.js'
import { onMessages } from './fixtures/wire.js'

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

t.test('statements started together behind a BEGIN wait for it: it is sent once', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(tx => Promise.all([1, 2, 3].map(id => tx.query(insert(id)))))
  t.strictSame(exchangesOf(conversation), [
    ['BEGIN', insert(1), 'evidence'],
    [insert(2)],
    [insert(3)],
    ['COMMIT']
  ])
  t.strictSame(await ids(), [1, 2, 3])
})

t.test('so they do if they are what takes the client', async t => {
  const { engine } = openEngine(t, postgres.url)
  const notices: string[] = []
  engine.on('connect', ({ client }) => client.on('notice', ({ message }) => notices.push(message!)))
  const db = requestOf(engine)
  await db.transaction(tx => Promise.all([1, 2, 3].map(id => tx.query(insert(id)))))
  t.strictSame(notices, [], 'no transaction began twice')
  t.strictSame(await ids(), [1, 2, 3])
  db.end()
})

/** The first so many BEGINs are refused. */
function spoilBegins(proxy: TestProxy, times: number): void {
  let left = times
  proxy.onConnection(({ toServer }) =>
    onMessages(toServer, true, ({ type, bytes }, forward) => {
      const begin = bytes.indexOf('BEGIN')
      if (type === 'P' && begin >= 0 && left-- > 0) bytes.write('OOPS!', begin)
      forward(bytes)
    })
  )
}

t.test('a BEGIN that fails runs nothing behind it, and is told as it is', async t => {
  for (const statements of [[insert(1)], [insert(1), insert(2), 'select 1', insert(3)]]) {
    const proxy = await startProxy(t, postgres)
    spoilBegins(proxy, 1)
    const { engine } = openEngine(t, proxy.url(postgres.url))
    const db = requestOf(engine)
    const work = db.transaction(tx => Promise.all(statements.map(text => tx.query(text))))
    await t.rejects(work, { code: '42601' })
    t.strictSame(await ids(), [])
    t.match(db, { inTransaction: false, invalidated: false })
    await db.transaction(tx => tx.query(insert(9)))
    t.strictSame(await ids(), [9], 'the connection goes on')
    await postgres.admin('truncate notes')
    db.end()
  }
})

t.test('whoever goes on after a failed BEGIN is still in a transaction', async t => {
  const proxy = await startProxy(t, postgres)
  spoilBegins(proxy, 1)
  const { engine } = openEngine(t, proxy.url(postgres.url))
  const db = requestOf(engine)
  const work = db.transaction(async tx => {
    await t.rejects(tx.query(insert(1)), { code: '42601' })
    await tx.query(insert(2)).catch(() => {})
    throw new RangeError()
  })
  await t.rejects(work, RangeError)
  t.strictSame(await ids(), [])
  t.equal(db.inTransaction, false)
  db.end()
})

t.test('a script in a transaction has its BEGIN in front of it, by itself', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  const script = `${insert(1)}; ${insert(2)}`
  await db.transaction(tx => Promise.all([tx.query(script), tx.query(insert(3))]))
  t.strictSame(exchangesOf(conversation), [
    ['BEGIN'],
    [script],
    [insert(3), 'evidence'],
    ['COMMIT']
  ])
})

t.test('a script that ends the transaction it is part of fails it', async t => {
  const { db } = await openProxied(t, postgres)
  const work = db.transaction(async tx => {
    await tx.query(insert(1))
    await t.rejects(tx.query(`commit; ${insert(2)}`), { code: 'FST_DB_TRANSACTION_STATE' })
    await t.rejects(tx.query(insert(3)), { code: 'FST_DB_PENDING_ROLLBACK' })
  })
  await t.rejects(work, { code: 'FST_DB_PENDING_ROLLBACK' })
  t.equal(db.outcome, 'unknown')
  t.strictSame(await ids(), [1, 2])
})
