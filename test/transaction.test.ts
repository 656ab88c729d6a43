import t from 'tap'
import type { Transaction } from '../src/transaction.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
await postgres.admin('create table late (id int unique deferrable initially deferred)')
t.beforeEach(() => postgres.admin('truncate notes, late'))

const state = { code: 'FST_DB_TRANSACTION_STATE' }
/** Which of them is told depends on what is known of the effects of all that went before. */
const disconnected = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/ }

async function notes(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

t.test('what the function returns is returned once it is committed', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  for (const [id, place] of [db, engine].entries()) {
    const result = await place.transaction(async tx => {
      await tx.query('insert into notes values ($1)', [id])
      t.same((await notes()).length, id, 'nobody else sees it yet')
      return 'done'
    })
    t.equal(result, 'done')
  }
  t.same(await notes(), [0, 1])
  t.equal(db.inTransaction, false)
  db.end()
})

t.test('F24: what follows it finds it committed, and is not reached if it was not', async t => {
  const { engine } = openEngine(t, postgres.url)
  const followed: number[][] = []
  const add = (id: number) =>
    engine
      .transaction(tx => tx.query('insert into notes values ($1), ($1 + 1)', [id]))
      .then(async () => followed.push(await notes()))
  await add(1)
  await t.rejects(add(2), { code: '23505' })
  await t.rejects(
    engine.transaction(tx => tx.query('insert into late values (1), (1)')).then(notes),
    { code: '23505' },
    'nor where only COMMIT fails'
  )
  t.same(followed, [[1, 2]])
})

t.test('T16: what it throws is thrown, after one ROLLBACK', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    resolve_doubt: false,
    half_open_timeout: 0
  })
  const reason = new Error('no')
  const failing = engine.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    throw reason
  })
  await t.rejects(failing, reason)
  const synchronous = engine.transaction(() => {
    throw reason
  })
  await t.rejects(synchronous, reason)
  t.same(
    statements,
    ['BEGIN', 'insert into notes values (1)', 'ROLLBACK'],
    'none if none is needed'
  )
  t.same(await notes(), [])
  t.match(engine.status(), { size: 1, idle: 1 })
})

t.test('statements on the connection itself are part of the transaction', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const rolledBack = db.transaction(async () => {
    await Promise.all([1, 2, 3].map(id => db.query('insert into notes values ($1)', [id])))
    t.equal(db.inTransaction, true)
    throw new Error('no')
  })
  await t.rejects(rolledBack, { message: 'no' })
  t.same(await notes(), [])
  db.end()
})

t.test('R12 T02 T06: a COMMIT that fails is what is thrown, and the client is kept', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    resolve_doubt: false,
    half_open_timeout: 0
  })
  const db = requestOf(engine)
  const pid = await servedBy(db)
  const failing = db.transaction(async tx => {
    await tx.query('insert into late values (1), (1)')
  })
  await t.rejects(failing, { code: '23505' })
  t.match(db, { inTransaction: false, invalidated: false })
  t.equal(statements.at(-1), 'COMMIT', 'there is nothing left to roll back')
  t.equal(await servedBy(db), pid)
  db.end()
})

t.test('a COMMIT answered ROLLBACK is an error: a failure was swallowed', async t => {
  const { engine } = openEngine(t, postgres.url)
  const swallowing = engine.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    await t.rejects(tx.query('insert into notes values (1)'), { code: '23505' })
    return 'as if nothing had happened'
  })
  await t.rejects(swallowing, { code: 'FST_DB_ROLLED_BACK', outcome: 'rolled_back' })
  t.same(await notes(), [])
})

t.test('R25: lost with its client, it ends, and the connection goes on at once', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const lost = db.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    await postgres.terminateBackends({ pids: [await servedBy(tx)] })
    await tx.query('insert into notes values (2)')
  })
  await t.rejects(lost, { ...disconnected, connectionInvalidated: true })
  t.match(db, { inTransaction: false, invalidated: true })
  t.equal(engine.status().generation, 1)
  await db.query('insert into notes values (3)')
  t.same(await notes(), [3])
  db.end()
})

t.test('X10: a ROLLBACK that fails does not mask what was thrown', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const reason = new Error('the first')
  const failing = engine.transaction(async tx => {
    await postgres.terminateBackends({ pids: [await servedBy(tx)] })
    throw reason
  })
  await t.rejects(failing, reason)
  t.ok(await servedBy(engine))
  t.match(engine.status(), { size: 1, idle: 1 })
})

t.test('A21: a transaction that cannot begin costs nothing', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const db = requestOf(engine)
  const fn = async () => t.fail('there is no transaction')
  const options = [{ isolationLevel: 'SNAPSHOT' }, { isolation: 'SERIALIZABLE' }] as never[]
  for (const option of options) await t.rejects(db.transaction(fn, option), TypeError)
  t.equal(engine.status().size, 0, 'not even a client')

  // A session that somebody may have done something to is not replaced unseen.
  await (await db.client()).query("set work_mem = '1234kB'")
  await postgres.terminateBackends()
  await t.rejects(
    db.transaction(tx => tx.query('select 1')),
    disconnected
  )
  t.match(db, { inTransaction: false })
  t.equal(await db.transaction(tx => tx.query('select 1').then(() => 'works')), 'works')
  db.end()
  await until(() => engine.status().idle === 1)
  t.match(engine.status(), { size: 1, idle: 1 })
})

t.test('T17: a transaction without a statement takes no client', async t => {
  const { engine } = openEngine(t, postgres.url)
  t.equal(await engine.transaction(async () => 'nothing to do'), 'nothing to do')
  await t.rejects(
    engine.transaction(() => Promise.reject(new Error('no'))),
    { message: 'no' }
  )
  t.match(engine.status(), { size: 0, counters: { connects: 0 } })
})

t.test('T09: once it has ended, nothing runs through its handle any more', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const handles: Transaction[] = []
  await db.transaction(async tx => handles.push(tx))
  await t.rejects(
    db.transaction(async tx => {
      handles.push(tx)
      throw new Error('no')
    })
  )
  t.equal(handles.length, 2)
  for (const handle of handles) {
    await t.rejects(handle.query('insert into notes values (1)'), state)
    await t.rejects(
      handle.transaction(async () => {}),
      state
    )
  }
  t.same(await notes(), [])
  db.end()
})

t.test('one at a time on one connection; elsewhere as many as you like', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const outcomes = await Promise.allSettled([
    db.transaction(async tx => {
      await tx.query('insert into notes values (1)')
      await t.rejects(
        db.transaction(async () => {}),
        state
      )
      await engine.transaction(other => other.query('insert into notes values (2)'))
    }),
    db.transaction(tx => tx.query('insert into notes values (3)'))
  ])
  t.match(outcomes, [{ status: 'fulfilled' }, { reason: state }])
  await db.query('begin')
  await t.rejects(
    db.transaction(async () => {}),
    state
  )
  await db.query('rollback')
  t.same(await notes(), [1, 2])
  db.end()
})

t.test('its client is not given back before it ends, and release() says so', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const db = requestOf(engine)
  await db.transaction(async tx => {
    t.throws(() => db.release(), state)
    await tx.query('insert into notes values (1)')
  })
  db.release()
  t.match(engine.status(), { idle: 1 })
  db.end()
})

t.test('a connection that is ended meanwhile has its transaction rolled back', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const db = requestOf(engine)
  const ended = db.transaction(async tx => {
    await tx.query('insert into notes values (1)')
    db.end()
    t.equal(engine.status().idle, 0, 'the client is still held')
    await tx.query('insert into notes values (2)')
  })
  await t.rejects(ended, { code: 'FST_DB_CONNECTION_CLOSED' })
  await until(() => engine.status().idle === 1)
  t.same(await notes(), [])
})

t.test('T24: isolation is what was asked for, on every client, and never what was not', async t => {
  const { engine } = openEngine(t, postgres.url, { isolation_level: 'REPEATABLE READ' })
  const db = requestOf(engine)
  const modes = async (options?: Parameters<typeof db.transaction>[1]) =>
    db.transaction(async tx => {
      const { rows } = await tx.query<{ i: string; r: string; d: string }>(
        `select current_setting('transaction_isolation') i,
           current_setting('transaction_read_only') r, current_setting('transaction_deferrable') d`
      )
      return rows[0]
    }, options)
  t.same(await modes(), { i: 'repeatable read', r: 'off', d: 'off' })
  await postgres.terminateBackends({ pids: [await servedBy(db)] })
  await t.rejects(db.query('select 1'), disconnected)
  t.same(await modes(), { i: 'repeatable read', r: 'off', d: 'off' })
  const options = { isolationLevel: 'SERIALIZABLE', readOnly: true, deferrable: true } as const
  t.same(await modes(options), { i: 'serializable', r: 'on', d: 'on' })
  t.same(await modes({ readOnly: false }), { i: 'repeatable read', r: 'off', d: 'off' })
  db.end()
})
