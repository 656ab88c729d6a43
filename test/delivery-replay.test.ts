import pg, { type Submittable } from 'pg'
import t from 'tap'
import type { Connection } from '../src/connection.js'
import { at, exchangesOf, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
await postgres.admin('create role reader')
await postgres.admin('grant select on notes to reader')
t.beforeEach(() => postgres.admin('truncate notes'))

const disconnected = { code: 'FST_DB_DISCONNECTED', statusCode: 503 }
const lost = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/ }

async function ids(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

function insert(id: number): string {
  return `insert into notes values (${id})`
}

t.test('R53: a plain read is run again, wherever its session was lost', async t => {
  for (const how of ['fin', 'rst'] as const) {
    for (const point of [
      at('before', 'Execute', 'select 2'),
      at('after', 'Sync'),
      at('before', 'DataRow', 'select 2'),
      at('after', 'CommandComplete', 'select 2'),
      at('before', 'ReadyForQuery')
    ]) {
      const { conversation, db, engine } = await openProxied(t, postgres)
      const told: unknown[] = []
      engine.on('replay', ({ statement }) => told.push(statement))
      conversation.cutAt(point, how)
      t.match(await db.query('select 2 x'), { rows: [{ x: 2 }] })
      t.strictSame(told, ['select 2 x'])
      t.equal(engine.status().replays, 1)
      t.equal(db.outcome, 'none')
    }
  }
})

t.test('R55: what was written before the loss is there when the read is run again', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  await db.query(insert(1))
  conversation.cutAt(at('before', 'ReadyForQuery'), 'rst')
  t.match(await db.query('select id from notes'), { rows: [{ id: 1 }] })
  t.equal(engine.status().replays, 1)
})

t.test('a batch of reads, and a read kept so by the server, are run again too', async t => {
  for (const run of [
    (db: Connection) => db.batch(['select 2', 'select 3']),
    (db: Connection) => db.query({ text: 'select pg_backend_pid()', readOnly: true })
  ]) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    conversation.cutAt(at('before', 'ReadyForQuery'), 'fin')
    await run(db)
    t.equal(engine.status().replays, 1)
  }
})

t.test('a write that the server stopped before it was complete is run again, once', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  const locker = await engine.connect()
  await locker.query('begin')
  await locker.query('lock table notes')
  const writing = db.query(`${insert(1)} returning id`)
  const pids = [conversation.pid!]
  await postgres.untilBackends({ pids, where: "wait_event_type = 'Lock'" })
  await postgres.terminateBackends({ pids })
  await locker.query('rollback')
  t.match(await writing, { rows: [{ id: 1 }], rowCount: 1 })
  t.strictSame(await ids(), [1])
  t.match(engine.status(), { replays: 1 })
  t.equal(db.outcome, 'applied')
  locker.release()
})

t.test('the first statement of a transaction is run again with its BEGIN', async t => {
  const first = [insert(1), 'select 1', 'select pg_backend_pid()', 'create table x ()']
  for (const text of first) {
    for (const point of [at('before', 'Execute', 'BEGIN'), at('before', 'ReadyForQuery')]) {
      const { conversation, db, engine } = await openProxied(t, postgres)
      conversation.cutAt(point, 'fin')
      const work = db.transaction(async tx => {
        await tx.query(text)
        await tx.query(insert(2))
        throw new RangeError()
      })
      await t.rejects(work, RangeError)
      t.equal(engine.status().replays, 1, text)
    }
  }
  t.strictSame(await ids(), [])
})

t.test('R54: no later one is: what came before it is gone', async t => {
  const later = [insert(2), 'select 2', 'savepoint', 'COMMIT']
  for (const text of later) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    const work = db.transaction(async tx => {
      await tx.query(insert(1))
      const next = text === 'COMMIT' ? 'COMMIT' : text
      conversation.cutAt(at('before', 'Execute', next === 'savepoint' ? 'SAVEPOINT' : next), 'fin')
      if (text === 'savepoint') await tx.transaction(async () => {})
      else if (text !== 'COMMIT') await tx.query(text)
    })
    await t.rejects(work, disconnected, text)
    t.equal(engine.status().replays, 0, text)
    t.equal(db.outcome, 'rolled_back')
    t.strictSame(await ids(), [], text)
  }
})

t.test('of statements started together none is run again without the ones before it', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  conversation.cutAt(at('before', 'Execute', insert(2)), 'fin')
  const work = db.transaction(tx => Promise.all([1, 2, 3].map(id => tx.query(insert(id)))))
  await t.rejects(work, lost)
  t.strictSame(await ids(), [])
  t.equal(engine.status().replays, 0)
})

t.test('what was started before a transaction is not run again within it', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  const undone = new Promise<unknown>(resolve => {
    engine.on('invalidate', () => {
      const work = db.transaction(async tx => {
        await tx.query(insert(2))
        await told
        throw new RangeError()
      })
      resolve(work.catch(error => error))
    })
  })
  await postgres.admin('create table gate as select 1 id')
  const gate = new pg.Client(postgres.url)
  await gate.connect()
  await gate.query('begin; lock table gate')
  const told = db.query('insert into notes select id from gate').catch(error => error)
  await postgres.untilBackends({
    pids: [Number(conversation.pid)],
    where: "wait_event_type = 'Lock'"
  })
  await postgres.terminateBackends({ pids: [Number(conversation.pid)] })
  await gate.end()
  t.match(await told, disconnected)
  t.type(await undone, RangeError)
  t.strictSame(await ids(), [])
  t.equal(db.outcome, 'rolled_back')
})

t.test('statements started together behind a BEGIN that is lost run after it', async t => {
  for (const point of [at('before', 'Execute', 'BEGIN'), at('before', 'ReadyForQuery')]) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    conversation.cutAt(point, 'fin')
    await db.transaction(tx => Promise.all([1, 2, 3].map(id => tx.query(insert(id)))))
    t.strictSame(await ids(), [1, 2, 3])
    t.equal(engine.status().replays, 1)
    await postgres.admin('truncate notes')
  }
})

t.test('reads behind one whose session is lost are run again, each by itself', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  conversation.cutAt(at('before', 'Execute', 'select 2'), 'rst')
  const results = await Promise.all(
    ['select 2 x', 'select 3 x', 'select 4 x'].map(text => db.query(text))
  )
  t.strictSame(
    results.map(({ rows }) => rows[0]),
    [{ x: 2 }, { x: 3 }, { x: 4 }]
  )
  t.equal(engine.status().replays, 3)
})

t.test('R56: whatever else was lost is not run again', async t => {
  const others = ['select pg_backend_pid()', 'create table x ()', 'set role reader', 'begin']
  for (const text of [...others, 'select 2; select 3', `${insert(1)}; select 3`]) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    const isScript = text.includes(';')
    const point = isScript ? at('before', 'CommandComplete') : at('before', 'Execute', text)
    conversation.cutAt(point, 'fin')
    await t.rejects(db.query(text), lost, text)
    t.match(engine.status(), { replays: 0 }, text)
  }
})

const TAINTS: Record<string, (db: Connection) => Promise<unknown>> = {
  'a role': db => db.query('set role reader'),
  'a setting': db => db.query("select set_config('app.user', '1', false)"),
  'a setting, made read-only': db =>
    db.query({ text: "select set_config('app.user', '1', false)", readOnly: true }),
  'a setting, in a read-only transaction': db =>
    db.transaction(tx => tx.query("select set_config('app.user', '1', false)"), { readOnly: true }),
  'a temporary table': db => db.query('create temp table mine ()'),
  'an advisory lock': db => db.query('select pg_advisory_lock(1)'),
  'a LISTEN': db => db.query('listen notes'),
  'a script': db => db.query('set role reader; select 1'),
  'a client in other hands': async db => void (await (await db.client()).query('select 1')),
  'a query of a library': db => submit(db, 'select pg_backend_pid()')
}

t.test('nothing is run again where the session had state of its own', async t => {
  for (const [what, taint] of Object.entries(TAINTS)) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    await taint(db)
    conversation.mark()
    conversation.cutAt(at('before', 'Execute', 'select current_user'), 'fin')
    await t.rejects(db.query('select current_user'), lost, what)
    t.equal(engine.status().replays, 0, what)
  }
})

t.test('not even if that state was made by a statement started with it', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres)
  conversation.cutAt(at('before', 'Execute', 'select current_user'), 'fin')
  const results = await Promise.allSettled(
    ['set role reader', 'select current_user', 'select 1', insert(1)].map(text => db.query(text))
  )
  t.match(results, [{ status: 'fulfilled' }, { reason: lost }])
  t.match(results.slice(2), [{ reason: lost }, { reason: lost }])
  t.equal(engine.status().replays, 0)
  t.strictSame(await ids(), [])
})

t.test('a statement is run again twice at most, and none beyond the budget', async t => {
  const { conversation, db, engine, protocol } = await openProxied(t, postgres, {
    pool_size: 1,
    max_overflow: 0
  })
  const cut = () => protocol.conversations.at(-1)!.cutAt(at('before', 'Execute', 'select 2'), 'fin')
  conversation.cutAt(at('before', 'Execute', 'select 2'), 'fin')
  protocol.proxy.onConnection(cut)
  await t.rejects(db.query('select 2'), disconnected)
  t.equal(engine.status().replays, 2)
  await t.rejects(db.query('select 2'), disconnected)
  t.equal(engine.status().replays, 2, 'nothing is left of the budget of one client')
  t.equal(db.outcome, 'none')
})

t.test('nothing is run again for a connection that has ended', async t => {
  const { conversation, db, engine, protocol } = await openProxied(t, postgres)
  conversation.cutAt(at('before', 'Execute', 'select 2'), 'fin')
  const reading = db.query('select 2')
  db.end()
  await t.rejects(reading, lost)
  t.equal(engine.status().replays, 0)
  t.equal(protocol.conversations.length, 1)
  t.strictSame(exchangesOf(conversation), [])
})

/** Runs a text as a library's own query, which `pg` would give no promise for. */
function submit(db: Connection, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const submittable: Submittable = {
      submit: connection => connection.query(text),
      ...Object.fromEntries(
        ['handleRowDescription', 'handleDataRow', 'handleCommandComplete'].map(name => [
          name,
          () => {}
        ])
      ),
      ...{ handleReadyForQuery: () => resolve(), handleError: reject }
    }
    db.query(submittable)
  })
}
