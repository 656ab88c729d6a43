import t from 'tap'
import type { Connection } from '../src/connection.js'
import { openEngine, requestOf, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const pending = { code: 'FST_DB_PENDING_ROLLBACK' }
/** Which of them is told depends on what is known of the effects of all that went before. */
const disconnected = {
  code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/,
  statusCode: 503,
  connectionInvalidated: true
}

async function kill(connection: Connection): Promise<number> {
  const pid = await servedBy(connection)
  await postgres.terminateBackends({ pids: [pid] })
  return pid
}

async function notes(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

const ROLLBACKS = ['rollback', 'ROLLBACK WORK;', 'abort transaction', '/* so be it */ rollback']

t.test(
  'R10 R15 R34 R48 T19 X51: a transaction lost with its client has to be rolled back, then all works on another',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    for (const rollback of ROLLBACKS) {
      await db.query('begin')
      await db.query('insert into notes values (1)')
      const pid = await kill(db)
      await t.rejects(db.query('select 1'), { ...disconnected, cause: { code: '57P01' } })
      t.match(db, { invalidated: true, inTransaction: true })
      for (const text of [
        'select 1',
        'commit',
        'savepoint a',
        'rollback to a',
        'begin',
        'commit'
      ]) {
        await t.rejects(db.query(text), pending, text)
        t.match(db, { invalidated: true, inTransaction: true })
      }
      const { connects } = engine.status().counters
      t.equal((await db.query(rollback)).command, 'ROLLBACK')
      t.match(db, { invalidated: true, inTransaction: false })
      t.equal(engine.status().counters.connects, connects, 'that needed no server')
      t.not(await servedBy(db), pid)
      t.match(db, { invalidated: false, inTransaction: false })
    }
    t.same(await notes(), [])
    db.end()
  }
)

t.test('R34 R47: outside a transaction the next statement gets another client', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  for (let round = 0; round < 3; round += 1) {
    const pid = await kill(db)
    await t.rejects(db.query('select 1'), disconnected)
    t.not(await servedBy(db), pid)
  }
  db.end()
})

t.test(
  'R11: a COMMIT that meets a disconnect fails, and stays failed until the rollback',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    await db.query('begin')
    await db.query('insert into notes values (1)')
    await kill(db)
    await t.rejects(db.query('commit'), disconnected)
    await t.rejects(db.query('commit'), pending)
    await t.rejects(db.query('select 1'), pending)
    await db.query('rollback')
    t.same((await db.query('select id from notes')).rows, [])
    db.end()
  }
)

t.test('R13 T01: a COMMIT that fails for a reason of its own ends the transaction', async t => {
  const { engine } = openEngine(t, postgres.url)
  await engine.query(
    'create table if not exists late (id int unique deferrable initially deferred)'
  )
  const db = requestOf(engine)
  const pid = await servedBy(db)
  await db.query('begin')
  await db.query('insert into late values (1), (1)')
  await t.rejects(db.query('commit'), { code: '23505' })
  t.match(db, { invalidated: false, inTransaction: false })
  t.equal((await db.query('rollback')).command, 'ROLLBACK', 'not needed, and not forbidden')
  t.equal(await servedBy(db), pid)
  db.end()
})

t.test('COMMIT of a transaction that had failed is an error, not a success', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  for (const commit of ['commit', 'END', 'commit and chain']) {
    await db.query('begin')
    await db.query('insert into notes values (1)')
    await t.rejects(db.query('insert into notes values (1)'), { code: '23505' })
    await t.rejects(db.query(commit), { code: 'FST_DB_ROLLED_BACK', outcome: 'rolled_back' })
    t.equal(db.inTransaction, commit === 'commit and chain')
  }
  await db.query('rollback')
  t.same(await notes(), [])
  db.end()
})

t.test(
  'R16: a connection that was released stays so, whatever had become of its client',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const connection = await engine.connect()
    await kill(connection)
    await t.rejects(connection.query('select 1'), disconnected)
    connection.release()
    await t.rejects(connection.query('select 1'), { code: 'FST_DB_CONNECTION_CLOSED' })
    await t.rejects(
      connection.transaction(async () => {}),
      { code: 'FST_DB_CONNECTION_CLOSED' }
    )
    await t.rejects(connection.client(), { code: 'FST_DB_CONNECTION_CLOSED' })
    connection.invalidate()
    connection.release()
  }
)

t.test('R17 E04: an error of SQL costs no client, and ends no transaction by itself', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  await t.rejects(db.query('select * from no_such_table'), { code: '42P01', statusCode: undefined })
  await db.query('begin')
  await t.rejects(db.query('select * from no_such_table'), { code: '42P01' })
  t.equal(db.inTransaction, true)
  await t.rejects(db.query('select 1'), { code: '25P02' })
  await db.query('rollback')
  t.equal(await servedBy(db), pid)
  t.match(db, { invalidated: false, inTransaction: false })
  t.equal(engine.status().generation, 0)
  db.end()
})

t.test('R19: a ROLLBACK that meets the disconnect leaves the connection usable', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.query('begin')
  await kill(db)
  await db.query('rollback').catch(() => db.query('rollback'))
  t.equal(db.inTransaction, false)
  t.equal((await db.query('select 1 x')).rowCount, 1)
  t.equal(engine.status().generation, 1)
  db.end()
})

t.test(
  'a chained ROLLBACK of a lost transaction does not look as if another had begun',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    await db.query('begin')
    await kill(db)
    await t.rejects(db.query('select 1'), disconnected)
    await db.query('rollback and chain').catch(error => t.match(error, pending))
    await db.query('insert into notes values (1)').catch(error => t.match(error, pending))
    await db.query('rollback')
    t.same(await notes(), [], 'nothing was written outside of a transaction')
    db.end()
  }
)

t.test('the client itself is not given out in place of a lost transaction', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.query('begin')
  await kill(db)
  await t.rejects(db.query('select 1'), disconnected)
  await t.rejects(db.client(), pending)
  await t.rejects(
    db.transaction(async () => {}),
    { code: 'FST_DB_TRANSACTION_STATE' }
  )
  await db.query('rollback')
  t.match(await (await db.client()).query('select 1 x'), { rows: [{ x: 1 }] })
  db.end()
})

t.test('R39 R42 R43 A20: a client invalidated by hand is a client lost', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  db.invalidate()
  t.equal(db.invalidated, true)
  db.invalidate()
  t.not(await servedBy(db), pid, 'outside a transaction nothing stands in the way')

  await db.query('begin')
  await db.query('insert into notes values (1)')
  db.invalidate(new Error('so I say'))
  db.invalidate()
  await t.rejects(db.query('commit'), pending)
  await db.query('rollback')
  t.same(await notes(), [])
  t.equal(engine.status().generation, 0, 'the other clients are not to blame')
  db.end()
})

t.test('T20: of two transactions the committed one is kept and the lost one is not', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.query('begin')
  await db.query('insert into notes values (1)')
  await db.query('commit')
  await db.query('begin')
  await db.query('insert into notes values (2)')
  db.invalidate()
  await t.rejects(db.query('select * from notes'), pending)
  await db.query('rollback')
  t.same((await db.query('select id from notes')).rows, [{ id: 1 }])
  db.end()
})

t.test('R43 A03: invalidated softly, a client works on and is replaced at its return', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const pid = await servedBy(db)
  db.invalidate(undefined, { soft: true })
  t.equal(db.invalidated, false)
  t.equal(await servedBy(db), pid)
  db.release()
  t.not(await servedBy(db), pid)
  db.end()
})

t.test('R37: connections that are lost together raise the generation once', async t => {
  const { engine } = openEngine(t, postgres.url)
  const connections = await Promise.all(Array.from({ length: 5 }, () => engine.connect()))
  const pids = await Promise.all(connections.map(servedBy))
  await postgres.terminateBackends({ pids })
  for (const connection of connections) {
    await t.rejects(connection.query('select 1'), disconnected)
  }
  t.equal(engine.status().generation, 1)
  const again = await Promise.all(connections.map(servedBy))
  t.notOk(again.some(pid => pids.includes(pid)))
  for (const connection of connections) connection.release()
})
