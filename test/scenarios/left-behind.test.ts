import PgCursor from 'pg-cursor'
import t from 'tap'
import { Ledger } from '../../src/ledger.js'
import { until } from '../fixtures/open-engine.js'
import { at, openProxied } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'

/**
 * What is told when an answer is not waited for any more must stay true when the server goes on. Each of these was a
 * lie once.
 */
const engineOptions = { half_open_timeout: 0, pool_size: 1, max_overflow: 0 }
const LIMIT_MS = 100
const own = { timeout: LIMIT_MS / 1000 }
const DEADLINE = { code: 'FST_DB_DEADLINE' }

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
t.beforeEach(() => postgres.admin('truncate notes'))

const insert = (id: number) => `insert into notes values (${id})`
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from notes order by id')).map(({ id }) => id)

/** A connection whose server can be silenced at a statement; it still takes cancel requests. */
async function open(options: { pool_pre_ping_window?: number } = {}) {
  const {
    db: first,
    engine,
    protocol
  } = await openProxied(t, postgres, {
    ...engineOptions,
    ...options
  })
  first.release()
  let late: number | undefined
  const db = engine.connection(new Ledger(), true, false, () => late)
  const conversation = protocol.conversations.at(-1)!
  const { connection } = conversation
  return {
    db,
    engine,
    limit() {
      late = performance.now() + LIMIT_MS
    },
    /** The server has done it, and its answer does not come. */
    silenceAfter(text: string) {
      conversation.at(at('before', 'CommandComplete', text), () => connection.freeze('toClient'))
    },
    /** The statement does not reach the server. */
    silenceBefore(text: string) {
      conversation.at(at('before', 'Execute', text), () => connection.freeze())
    },
    /** Who connects anew, to cancel something, is not heard. */
    slowToCancel: () => void protocol.proxy.blackhole(),
    thaw: () => connection.thaw(),
    /** All that was under way has come to its end, on the server as well. */
    async settled() {
      db.end()
      await until(() => engine.status().checkedOut === 0)
      const busy = { where: "state <> 'idle' and query like '%notes%'" }
      while ((await postgres.backends(busy)).length > 0);
      return ids()
    }
  }
}

t.test('the transaction of a statement that was left is lost', async t => {
  const { db, settled, silenceAfter, thaw } = await open()
  silenceAfter(insert(2))
  const done = db.transaction(async tx => {
    await tx.query(insert(1))
    await t.rejects(tx.query({ ...own, text: insert(2) }), { ...DEADLINE, outcome: 'rolled_back' })
    thaw()
    await t.rejects(tx.query(insert(3)), { code: 'FST_DB_PENDING_ROLLBACK' })
  })
  await t.rejects(done, { code: 'FST_DB_PENDING_ROLLBACK', outcome: 'rolled_back' })
  await db.query(insert(4))
  t.same(await settled(), [4])
})

t.test('so it is when the statement carried BEGIN, or BEGIN was by hand', async t => {
  for (const begin of ['BEGIN', 'begin']) {
    const { db, settled, silenceAfter, thaw } = await open()
    silenceAfter(begin)
    const work =
      begin === 'BEGIN'
        ? db.transaction(tx => tx.query({ ...own, text: insert(1) }))
        : db.query({ ...own, text: begin })
    await t.rejects(work, DEADLINE)
    thaw()
    await db.query(insert(2))
    t.equal(db.inTransaction, false)
    t.same(await settled(), [2], begin)
    await postgres.admin('truncate notes')
  }
})

t.test('a request does not commit behind its deadline what it was told is undone', async t => {
  const { db, limit, settled, silenceAfter, thaw } = await open()
  silenceAfter('select 2')
  limit()
  const done = db.transaction(async tx => {
    await tx.query(insert(1))
    await t.rejects(tx.query('select 2'), DEADLINE)
  })
  await t.rejects(done, { code: 'FST_DB_PENDING_ROLLBACK', outcome: 'rolled_back' })
  thaw()
  t.same(await settled(), [])
})

t.test('nor does a write on a cold client, whose COMMIT waits for a cancel request', async t => {
  const { db, settled, silenceAfter, thaw } = await open({ pool_pre_ping_window: 0 })
  silenceAfter(insert(1))
  await t.rejects(db.query({ ...own, text: insert(1) }), { ...DEADLINE, outcome: 'rolled_back' })
  thaw()
  t.same(await settled(), [])
})

t.test('what waits behind a COMMIT at the deadline is not written any more', async t => {
  const { db, limit, settled, silenceBefore, thaw } = await open({ pool_pre_ping_window: 0 })
  silenceBefore('COMMIT')
  limit()
  const started = [1, 2, 3].map(id => db.query(insert(id)))
  const unknown = { reason: { ...DEADLINE, outcome: 'unknown' } }
  t.match(await Promise.allSettled(started), [unknown, unknown, unknown])
  thaw()
  t.same(await settled(), [1])
})

t.test('nor behind a cursor, whatever its text looks like', async t => {
  const { db, limit, settled, silenceBefore, thaw } = await open()
  const text = "select 'commit' as word"
  silenceBefore(text)
  limit()
  const read = db.query(new PgCursor(text)).read(1)
  const written = db.query(insert(1))
  t.match(await Promise.allSettled([read, written]), [
    { reason: DEADLINE },
    { reason: { code: /^FST_DB_(DEADLINE|DISCONNECTED)$/, outcome: 'none' } }
  ])
  thaw()
  t.same(await settled(), [])
})

t.test('a limit of its own takes it out of the line behind a COMMIT', async t => {
  const { db, settled, silenceBefore, thaw } = await open()
  await db.query('begin')
  await db.query(insert(1))
  silenceBefore('commit')
  const committed = db.query('commit')
  await t.rejects(db.query({ ...own, text: insert(2) }), DEADLINE)
  thaw()
  await committed
  t.same(await settled(), [1])
})

t.test('a text of several statements is not run when its time is up before its turn', async t => {
  const { db, settled, silenceBefore, thaw } = await open()
  silenceBefore('BEGIN')
  const text = `${insert(1)}; select 2`
  await t.rejects(
    db.transaction(tx => tx.query({ ...own, text })),
    DEADLINE
  )
  thaw()
  t.same(await settled(), [])
})

t.test('a transaction of nothing costs nobody a client', async t => {
  const { db, engine, settled, silenceAfter, thaw } = await open()
  const closed: unknown[] = []
  engine.on('close', event => closed.push(event))
  silenceAfter(insert(1))
  await t.rejects(db.query({ ...own, text: insert(1) }), { ...DEADLINE, outcome: 'unknown' })
  await t.rejects(
    db.transaction(() => Promise.reject(new Error('own'))),
    { message: 'own' }
  )
  thaw()
  await db.query('select 3')
  t.equal(db.outcome, 'applied', 'its answer has come')
  t.same(await settled(), [1])
  t.same(closed, [])
})

t.test('what waited to be part of a transaction is not run without it', async t => {
  const { db, settled, silenceAfter, thaw } = await open()
  silenceAfter('BEGIN')
  const settledLater: Promise<unknown>[] = []
  const done = db.transaction(async tx => {
    const first = tx.query({ ...own, text: 'select 1' })
    settledLater.push(
      tx.query(insert(2)),
      tx.batch([insert(3)]),
      tx.query(`${insert(4)}; select 2`)
    )
    await Promise.all([first, ...settledLater])
  })
  await t.rejects(done, DEADLINE)
  const next = db.transaction(tx => tx.query(insert(5)))
  const others = await Promise.allSettled(settledLater)
  t.same(
    others.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected']
  )
  thaw()
  await next
  t.same(await settled(), [5])
})

t.test('nor what waited for the transaction of a route', async t => {
  const { db, settled, silenceAfter, thaw } = await open()
  silenceAfter('BEGIN')
  db.beginRoute({})
  const first = db.query({ ...own, text: 'select 1' })
  const behind = db.query(insert(2))
  behind.catch(() => {})
  await t.rejects(first, DEADLINE)
  await db.endRoute('ROLLBACK')
  await t.rejects(behind)
  thaw()
  t.same(await settled(), [])
})

t.test('a COMMIT by hand that was left may have been made, and stays so', async t => {
  const { db, settled, silenceAfter, thaw } = await open()
  await db.query('begin')
  await db.query(insert(1))
  silenceAfter('commit')
  await t.rejects(db.query({ ...own, text: 'commit' }), { ...DEADLINE, outcome: 'unknown' })
  const next = db.query(insert(2))
  thaw()
  await next
  t.match(db, { outcome: 'applied', inTransaction: false })
  t.same(await settled(), [1, 2])
})

t.test('a write behind a COMMIT is by itself, and in doubt by itself', async t => {
  const { db, settled, silenceAfter, thaw } = await open()
  await db.query('begin')
  silenceAfter(insert(1))
  const committed = db.query('commit')
  await t.rejects(db.query({ ...own, text: insert(1) }), { ...DEADLINE, outcome: 'unknown' })
  await committed
  thaw()
  t.same(await settled(), [1])
})

t.test('no transaction is pending that the application does not know of', async t => {
  const { db, settled, silenceAfter, thaw } = await open({ pool_pre_ping_window: 0 })
  silenceAfter(insert(1))
  await t.rejects(db.query({ ...own, text: insert(1) }), { ...DEADLINE, outcome: 'rolled_back' })
  await db.query(insert(2))
  await db.transaction(tx => tx.query(insert(3)))
  thaw()
  t.same(await settled(), [2, 3])
})

t.test('a text of several that waits behind a COMMIT costs nobody a client', async t => {
  const { db, engine, limit, settled, silenceBefore, thaw } = await open()
  const closed: unknown[] = []
  engine.on('close', event => closed.push(event))
  await db.query('begin')
  await db.query(insert(1))
  silenceBefore('commit')
  limit()
  const started = [db.query('commit'), db.query(`${insert(2)}; select 2`)]
  const unknown = { reason: { ...DEADLINE, outcome: 'unknown' } }
  t.match(await Promise.allSettled(started), [unknown, unknown])
  thaw()
  t.same(await settled(), [1])
  t.same(closed, [])
})

t.test('the signal of a transaction ends a cursor whose server does not', async t => {
  const { db, engine, settled, silenceAfter, thaw } = await open()
  const stop = new AbortController()
  const lost = new Promise(resolve => engine.on('invalidate', resolve))
  silenceAfter('select 2')
  const reason = new Error('enough')
  const done = db.transaction(
    async tx => {
      await tx.query(insert(1))
      const read = tx.query(new PgCursor('select 2')).read(2)
      stop.abort(reason)
      await read
    },
    { signal: stop.signal }
  )
  await t.rejects(done, reason)
  await lost
  thaw()
  t.same(await settled(), [])
})

t.test('a transaction ends though what waits in it cannot be written', async t => {
  const { db, engine, limit, settled, silenceBefore, slowToCancel, thaw } = await open()
  silenceBefore(insert(1))
  slowToCancel()
  limit()
  let isLeft = false
  const done = db.transaction(async tx => {
    const first = tx.query(insert(1))
    const behind = [tx.batch([insert(2)]), tx.query('select 2')]
    await Promise.allSettled([first, ...behind])
    isLeft = true
    await first
  })
  await t.rejects(done, { ...DEADLINE, outcome: 'rolled_back' })
  t.equal(isLeft, true)
  t.equal(engine.status().checkedOut, 0, 'not for the cancel request, nor for what is behind it')
  thaw()
  t.same(await settled(), [])
})
