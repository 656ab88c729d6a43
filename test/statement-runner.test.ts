import t from 'tap'
import { openEngine, requestOf, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t, { max_prepared_transactions: '5' })
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const state = { code: 'FST_DB_TRANSACTION_STATE' }

async function notes(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

const CONTROL = [
  'BEGIN',
  'start transaction isolation level serializable',
  'commit',
  '/* ; */ END',
  'rollback',
  'Abort Work',
  'savepoint a',
  'release savepoint a',
  'rollback to a',
  'commit and chain',
  "prepare transaction 'a'",
  'set transaction read write'
]

t.test('inside transaction(fn) nobody else begins or ends one', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    for (const text of CONTROL) {
      await t.rejects(tx.query(text), state, text)
      await t.rejects(db.query({ text }), state, text)
    }
    await tx.query('insert into notes values (2)')
  })
  t.same(await notes(), [1, 2])
  db.end()
})

t.test('T10 T18 T21: outside it they mean what they say, needed or not', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  for (const text of ['commit', 'rollback']) {
    t.equal((await db.query(text)).command, text.toUpperCase())
    t.equal(db.inTransaction, false)
  }
  await db.query('begin')
  t.equal(db.inTransaction, true)
  await db.query('insert into notes values (1)')
  await db.query('savepoint a')
  await db.query('insert into notes values (2)')
  await db.query('rollback to a')
  await db.query('commit')
  t.equal(db.inTransaction, false)
  t.same(await notes(), [1])
  db.end()
})

const ENDING: Record<string, string> = {
  'ends it': 'insert into notes values (2); commit',
  'ends it and begins another': 'insert into notes values (2); commit; begin',
  'undoes it': 'insert into notes values (2); rollback',
  'undoes it and begins another': 'rollback; begin; insert into notes values (2)'
}
for (const [what, text] of Object.entries(ENDING)) {
  t.test(`a text of several statements that ${what} is caught`, async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const transaction = db.transaction(async tx => {
      await tx.query('insert into notes values (1)')
      await t.rejects(tx.query(text), state)
      await t.rejects(tx.query('insert into notes values (3)'))
      return 'as if nothing had happened'
    })
    await t.rejects(transaction)
    t.notOk((await notes()).includes(3), 'what follows does not run outside of the transaction')
    t.match(db, { inTransaction: false })
    t.ok(await servedBy(db))
    db.end()
  })
}

t.test('a text that ends the transaction and then fails is caught as well', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const transaction = db.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    await t.rejects(tx.query('commit; select 1/0'))
    await t.rejects(tx.query('insert into notes values (3)'))
  })
  await t.rejects(transaction)
  t.notOk((await notes()).includes(3), 'what follows does not run outside of the transaction')
  db.end()
})

t.test(
  'a text of several statements that begins and ends no transaction runs inside one',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    await engine.transaction(async tx => {
      await tx.query('insert into notes values (1); insert into notes values (2)')
      await tx.query("do $$ begin insert into notes values (3); end $$; select ';commit;'")
    })
    t.same(await notes(), [1, 2, 3])
  }
)

t.test('a PREPARE TRANSACTION that was answered ROLLBACK prepared nothing', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.query('begin')
  await t.rejects(db.query('select 1/0'), { code: '22012' })
  await t.rejects(db.query("prepare transaction 'gid'"), { code: 'FST_DB_ROLLED_BACK' })
  t.equal(db.inTransaction, false)
  t.same(await postgres.admin('select * from pg_prepared_xacts'), [])
  db.end()
})

t.test('what is no statement is refused like anything else, and holds up nothing', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const nonsense = [undefined, null, 5, {}, { text: 5 }, { text: 'select $1', values: 5 }]
  for (const query of nonsense) {
    const [outcome, next] = await Promise.allSettled([
      (async () => db.query(query as never))(),
      db.query('select 1')
    ])
    t.equal(outcome.status, 'rejected', JSON.stringify(query))
    t.equal(next.status, 'fulfilled')
  }
  t.match(await db.query(''), { rows: [] })
  t.match(engine.status(), { size: 1, generation: 0 })
  db.end()
})

t.test('COPY from a client that has no data is refused, and costs no session', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  await t.rejects(db.query('copy notes from stdin'), { code: '57014' })
  t.equal(await servedBy(db), pid)
  const failing = db.transaction(async tx => {
    await t.rejects(tx.query('copy notes from stdin'), { code: '57014' })
    await t.rejects(tx.query('select 1'), { code: '25P02' })
    throw new Error('no')
  })
  await t.rejects(failing, { message: 'no' })
  t.equal(await servedBy(db), pid)
  t.match((await db.query('select 1 x')).rows, [{ x: 1 }], 'the answers are in step')
  db.end()
})

t.test(
  'several statements with parameters or a name are refused by the server, as by pg',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    await engine.query('create table stacked (id int)')
    await engine.query('insert into stacked values (1)')
    const text = 'select 1; delete from stacked'
    const connection = requestOf(engine)
    const ways: Record<string, () => Promise<unknown>> = {
      values: () => connection.query(`${text} where id = $1`, [1]),
      'values in its configuration': () =>
        connection.query({ text: `${text} where id = $1`, values: [1] }),
      'a name': () => connection.query({ text, name: 'stacked' }),
      'the extended protocol': () =>
        connection.query({ text, queryMode: 'extended' } as { text: string }),
      'values in a transaction': () =>
        connection.transaction(tx => tx.query(`${text} where id = $1`, [1])),
      'values on the engine': () => engine.query(`${text} where id = $1`, [1])
    }
    for (const [what, run] of Object.entries(ways)) await t.rejects(run(), { code: '42601' }, what)
    t.match(await connection.query('select count(*)::int as n from stacked'), { rows: [{ n: 1 }] })
    connection.end()
  }
)

t.test('several statements keep what was asked for of their rows', async t => {
  const { engine } = openEngine(t, postgres.url)
  const text = 'select 1 as a; select 2 as b'
  const types = { getTypeParser: () => (value: string) => `own ${value}` }
  const asked = (config: object) => engine.query({ text, ...config }) as unknown
  t.match(await asked({ rowMode: 'array' }), [{ rows: [[1]] }, { rows: [[2]] }])
  t.match(await asked({ types }), [{ rows: [{ a: 'own 1' }] }, { rows: [{ b: 'own 2' }] }])
})

t.test('what cannot be a statement is a rejection, never thrown', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const touchy = {
    text: 'select 1',
    get signal(): never {
      throw new RangeError('do not touch')
    }
  }
  const bad = [null, undefined, 7, touchy] as never[]
  for (const query of bad) await t.rejects(db.query(query))
  await db.transaction(async tx => {
    for (const query of bad) await t.rejects(tx.query(query))
    await tx.transaction(async nested => {
      for (const query of bad) await t.rejects(nested.query(query))
    })
  })
  db.end()
})

t.test('what is no statement is refused before anything is begun, by a rejection', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const nothing = null as never
  const callback = (() => {}) as never
  for (const on of [engine, db]) {
    await t.rejects(on.query(nothing), TypeError)
    await t.rejects(on.query('select 1', callback), /no callback/)
    await t.rejects(on.transaction(nothing), TypeError)
    await t.rejects(
      on.transaction(async () => {}, nothing),
      TypeError
    )
  }
  await t.rejects(db.batch(nothing), TypeError)
  t.equal(engine.status().counters.checkouts, 0, 'no client was taken')
  await db.transaction(async tx => {
    await t.rejects(tx.query(nothing), TypeError)
    await t.rejects(tx.transaction(nothing), TypeError)
    await t.rejects(tx.batch([nothing]), TypeError)
    await tx.query('insert into notes values (1)')
  })
  t.same(await notes(), [1], 'the transaction goes on')
  db.end()
})
