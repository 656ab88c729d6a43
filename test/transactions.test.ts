import t from 'tap'
import type { Connection } from '../src/connection.js'
import type { Transaction } from '../src/transaction.js'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int primary key)')
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from entries order by id')).map(({ id }) => id)

t.beforeEach(() => postgres.admin('truncate entries'))

t.test('a transaction that runs no statement sends nothing', async t => {
  const { engine } = openEngine(t, postgres.url)
  t.equal(await engine.transaction(async () => 'result'), 'result')
  t.equal(engine.status().counters.checkouts, 0)
})

t.test('a sibling that would overlap is refused, coded, and does no harm', async t => {
  const { engine } = openEngine(t, postgres.url)
  await using connection = await engine.connect()
  const first = connection.transaction(async transaction => {
    await transaction.query('insert into entries values (1)')
    await t.rejects(
      connection.transaction(async () => {}),
      { code: 'FST_DB_TRANSACTION_STATE' }
    )
  })
  await t.rejects(
    connection.transaction(async () => {}),
    { code: 'FST_DB_TRANSACTION_STATE' }
  )
  await first
  t.same(await ids(), [1])
})

t.test('nothing is begun on top of a transaction of the user’s own', async t => {
  const { engine } = openEngine(t, postgres.url)
  await using connection = await engine.connect()
  await connection.query('begin')
  await t.rejects(
    connection.transaction(async () => {}),
    { code: 'FST_DB_TRANSACTION_STATE' }
  )
  await connection.query('rollback')
})

t.test('a route’s transaction: fn is a savepoint, options are refused, COMMIT ends it', async t => {
  const { engine } = openEngine(t, postgres.url)
  const connection = requestOf(engine)
  connection.beginRoute({})
  await connection.query('insert into entries values (1)')
  await t.rejects(
    connection.transaction(async transaction => {
      await transaction.query('insert into entries values (2)')
      throw new Error('undone')
    }),
    { message: 'undone' }
  )
  await t.rejects(
    connection.transaction(async () => {}, { readOnly: true }),
    { code: 'FST_DB_TRANSACTION_STATE' }
  )
  t.same(await ids(), [])
  await connection.endRoute('COMMIT')
  t.same(await ids(), [1])
  await connection.endRoute('COMMIT')
  connection.end()
  t.equal(engine.status().checkedOut, 0)
})

t.test('a serialization failure is run again, as often as asked, and only then', async t => {
  const { engine } = openEngine(t, postgres.url)
  for (const [retries, expected] of [
    [2, 3],
    [0, 1]
  ] as const) {
    let runs = 0
    const run = engine.transaction(
      async transaction => {
        runs += 1
        await transaction.query("do $$ begin raise sqlstate '40001'; end $$")
      },
      { retries }
    )
    await t.rejects(run, { code: 'FST_DB_CONTENTION', statusCode: 503 })
    t.equal(runs, expected)
  }
})

t.test('what may have committed on the way is not run again', async t => {
  const { engine } = openEngine(t, postgres.url)
  const fail = "do $$ begin raise sqlstate '40001'; end $$"
  const ways: ((transaction: Transaction, connection: Connection) => Promise<unknown>)[] = [
    transaction => transaction.query(`insert into entries values (1); commit; ${fail}`),
    async (transaction, connection) => {
      await transaction.query('insert into entries values (1)')
      const client = await connection.client()
      await client.query('commit')
      await transaction.query(fail)
    }
  ]
  for (const way of ways) {
    const connection = await engine.connect()
    let runs = 0
    const run = connection.transaction(
      transaction => {
        runs += 1
        return way(transaction, connection)
      },
      { retries: 2 }
    )
    await t.rejects(run)
    t.equal(runs, 1)
    t.same(await ids(), [1], 'a part is there')
    await postgres.admin('truncate entries')
    connection.release()
  }
})

t.test('wrong options are refused before anything is sent', async t => {
  const { engine } = openEngine(t, postgres.url)
  for (const options of [
    { retries: -1 },
    { retries: 0.5 },
    { isolationLevel: 'X' },
    { other: 1 }
  ]) {
    await t.rejects(
      engine.transaction(async () => {}, options as never),
      TypeError
    )
  }
  t.equal(engine.status().counters.connects, 0)
})
