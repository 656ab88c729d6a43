import pg from 'pg'
import t from 'tap'
import { named } from './fixtures/app.js'
import { openEngine, requestOf } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const no = new Error('no')
const disconnected = { code: 'FST_DB_DISCONNECTED', outcome: 'rolled_back' }

async function notes(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

const insert = 'insert into notes values ($1)'

/** A connection of a request, which has a client already or has none yet. */
function requests(engine: ReturnType<typeof openEngine>['engine']) {
  return [requestOf(engine), requestOf(engine)].map(async (db, index) => {
    // Nothing that says something about effects, or ties the session to its client.
    if (index === 0) await db.query('select 1')
    return db
  })
}

t.test('statements started together at the beginning share one BEGIN', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    resolve_doubt: false,
    half_open_timeout: 0
  })
  const db = requestOf(engine)
  await db.query('select 1')
  await db.transaction(
    async tx => {
      await Promise.all([1, 2, 3].map(id => tx.query(insert, [id])))
    },
    { isolationLevel: 'SERIALIZABLE' }
  )
  t.equal(statements.filter(text => text.startsWith('BEGIN')).length, 1)
  t.same(await notes(), [1, 2, 3])
  db.end()
})

t.test('the first of them that can be sent begins, if the one before it could not', async t => {
  const { engine } = openEngine(t, postgres.url)
  for await (const db of requests(engine)) {
    await postgres.admin('truncate notes')
    await db.transaction(
      async tx => {
        const outcomes = await Promise.allSettled([
          tx.query(insert, 'no array' as never),
          tx.query(insert, [1]),
          tx.query(insert, [2])
        ])
        t.match(outcomes, [
          { status: 'rejected' },
          { status: 'fulfilled' },
          { status: 'fulfilled' }
        ])
      },
      { isolationLevel: 'SERIALIZABLE' }
    )
    t.same(await notes(), [1, 2])
    db.end()
  }
})

t.test('the transaction is rolled back though its first statement is still under way', async t => {
  const { engine } = openEngine(t, postgres.url)
  for await (const db of requests(engine)) {
    await postgres.admin('truncate notes')
    const failing = db.transaction(async tx => {
      await Promise.all([tx.query(insert, [1]), Promise.reject(no)])
    })
    await t.rejects(failing, no)
    t.equal(db.inTransaction, false)
    await db.query(insert, [2])
    db.end()
    t.same(await notes(), [2], 'what came after is not rolled back, and what was part of it is')
  }
})

t.test(
  'a statement that nobody waited for is part of the transaction it was started in',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    for await (const db of requests(engine)) {
      await postgres.admin('truncate notes')
      let forgotten: Promise<unknown> | undefined
      await db.transaction(async tx => {
        forgotten = tx.query(insert, [1])
      })
      t.same(await notes(), [1], 'COMMIT came behind it')
      await forgotten
      await t.rejects(
        db.transaction(async tx => {
          forgotten = tx.query(insert, [2])
          throw no
        }),
        no
      )
      await forgotten?.catch(() => {})
      db.end()
      t.same(await notes(), [1])
    }
  }
)

t.test('a statement started before the transaction is no part of it', async t => {
  const { engine } = openEngine(t, postgres.url)
  for await (const db of requests(engine)) {
    await postgres.admin('truncate notes')
    const outcomes = await Promise.allSettled([
      db.query(insert, [1]),
      db.query('select 1; select 2'),
      db.transaction(async tx => {
        await tx.query(insert, [2])
        throw no
      })
    ])
    t.match(outcomes, [{ status: 'fulfilled' }, { status: 'fulfilled' }, { reason: no }])
    db.end()
    t.same(await notes(), [1])
  }
})

t.test('lost in the middle of statements started together, nothing of it is committed', async t => {
  await postgres.admin('create table locked (id int)')
  const { engine } = openEngine(t, named(postgres.url, 'together'))
  const db = requestOf(engine)
  await db.query('select 1')
  const locker = new pg.Client(postgres.url)
  await locker.connect()
  await locker.query('begin; lock table locked')
  const lost = db.transaction(async tx => {
    await Promise.all([tx.query(insert, [1]), tx.query('insert into locked values (2)')])
  })
  const [blocked] = await postgres.untilBackends({
    applicationName: 'together',
    where: "wait_event_type = 'Lock'"
  })
  const rejected = t.rejects(lost, disconnected)
  await postgres.terminateBackends({ pids: [blocked!.pid] })
  await locker.end()
  await rejected
  t.same(await notes(), [])
  t.same(await postgres.admin('select * from locked'), [], 'it is all or nothing')
  db.end()
})

t.test(
  'a write under way is not called undone because a transaction was asked for behind it',
  async t => {
    const proxy = await startProxy(t, postgres)
    const { engine } = openEngine(t, proxy.url(postgres.url), {
      resolve_doubt: false,
      half_open_timeout: 0
    })
    const db = requestOf(engine)
    await db.query('select 1')
    proxy.freeze('toClient')
    const write = db.query(insert, [1])
    const transaction = db.transaction(tx => tx.query(insert, [2]))
    const outcomes = Promise.allSettled([write, transaction])
    while ((await notes()).length === 0);
    proxy.cut('rst')
    const [outcome] = await outcomes
    t.match(outcome, { reason: { outcome: 'unknown', retryable: false } })
    t.same(await notes(), [1])
    db.end()
  }
)
