import t from 'tap'
import { at, exchangesOf, openProxied, roundTripsOf } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(`
  create table notes (id int primary key);
  create table late (id int unique deferrable initially deferred)`)
t.beforeEach(() => postgres.admin('truncate notes, late'))

const insert = (id: number) => `insert into notes values (${id})`
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from notes order by id')).map(({ id }) => id)

/** A connection that will take a client of which nobody knows if it lives. */
async function openCold(test: Pick<typeof t, 'teardown'>) {
  const proxied = await openProxied(test, postgres, {
    pool_size: 1,
    max_overflow: 0,
    pool_pre_ping_window: 0
  })
  proxied.db.release()
  proxied.conversation.mark()
  return proxied
}

t.test('a write on a cold client is its own ping, and costs two trips', async t => {
  const { conversation, db, engine } = await openCold(t)
  t.match(await db.query(`${insert(1)} returning id`), { command: 'INSERT', rows: [{ id: 1 }] })
  t.equal(roundTripsOf(conversation), 2)
  t.same(exchangesOf(conversation), [
    ['BEGIN', `${insert(1)} returning id`, 'evidence'],
    ['COMMIT']
  ])
  t.equal(db.outcome, 'applied')
  t.match(engine.status().counters, { pings: 0 })
  conversation.mark()
  await db.query(insert(2))
  t.equal(roundTripsOf(conversation), 1, 'warm, it costs one')
})

t.test('so is a batch', async t => {
  const { conversation, db } = await openCold(t)
  t.match(await db.batch([insert(1), insert(2)]), [{ rowCount: 1 }, { rowCount: 1 }])
  t.same(exchangesOf(conversation), [['BEGIN', insert(1), insert(2), 'evidence'], ['COMMIT']])
  t.same(await ids(), [1, 2])
})

t.test('what else is started stays outside of it', async t => {
  const { db } = await openCold(t)
  const started = [db.query(insert(1)), db.query(insert(1)), db.query(insert(2))]
  t.match(await Promise.allSettled(started), [
    { status: 'fulfilled' },
    { status: 'rejected', reason: { code: '23505' } },
    { status: 'fulfilled' }
  ])
  t.same(await ids(), [1, 2])
})

t.test('one that fails is rolled back, and leaves no transaction', async t => {
  const { conversation, db } = await openCold(t)
  await postgres.admin(insert(1))
  await t.rejects(db.query(insert(1)), { code: '23505' })
  t.same(exchangesOf(conversation).at(-1), ['ROLLBACK'])
  t.match(db, { inTransaction: false, outcome: 'rolled_back' })
  await db.query(insert(2))
  t.same(await ids(), [1, 2])
})

t.test('one that fails at its COMMIT is the application’s error too', async t => {
  const { db } = await openCold(t)
  await t.rejects(db.query('insert into late values (1), (1)'), { code: '23505' })
  t.match(db, { inTransaction: false, outcome: 'rolled_back' })
})

t.test('a value that cannot be sent reaches nobody', async t => {
  const { conversation, db } = await openCold(t)
  await t.rejects(db.query('insert into notes values ($1)', 5 as never), /must be an array/)
  t.same(exchangesOf(conversation), [])
  await db.query(insert(1))
  t.same(await ids(), [1])
})

for (const side of ['before', 'after'] as const) {
  t.test(`lost ${side} the statement reaches the server, it is run on another client`, async t => {
    const { conversation, db, engine } = await openCold(t)
    conversation.cutAt(at(side, 'Execute', 'insert'), 'fin')
    t.match(await db.query(insert(1)), { rowCount: 1 })
    t.same(await ids(), [1])
    t.match(engine.status(), { replays: 0, counters: { pings: 0, pingFailures: 1 } })
    t.match(db, { inTransaction: false, outcome: 'applied' })
  })
}

t.test('lost before its COMMIT is sent, it is run again', async t => {
  const { conversation, db } = await openCold(t)
  conversation.cutAt(at('after', 'CommandComplete', 'insert'), 'fin')
  t.match(await db.query(insert(1)), { rowCount: 1 })
  t.same(await ids(), [1])
  t.equal(db.inTransaction, false)
})

t.test('lost behind its COMMIT, it is found out that it was done', async t => {
  const { conversation, db } = await openCold(t)
  conversation.cutAt(at('after', 'Execute', 'COMMIT'), 'fin')
  t.match(await db.query(`${insert(1)} returning id`), { rows: [{ id: 1 }] })
  t.same(await ids(), [1])
  t.match(db, { inTransaction: false, outcome: 'applied' })
})

t.test('cancelled, it has done nothing', async t => {
  const { db } = await openCold(t)
  const controller = new AbortController()
  const text = "insert into notes select 1 where pg_sleep(60)::text = ''"
  await db.query('select 1')
  db.release()
  const cancelled = db.query({ text, signal: controller.signal })
  while (
    (await postgres.admin("select from pg_stat_activity where query like 'insert%'")).length === 0
  );
  controller.abort(new Error('enough'))
  await t.rejects(cancelled, { message: 'enough' })
  t.match(db, { inTransaction: false })
  await db.query(insert(2))
  t.same(await ids(), [2])
})

t.test('left without an answer, it is not committed when that comes', async t => {
  const { conversation, db } = await openCold(t)
  const controller = new AbortController()
  const isRun = new Promise<void>(resolve => {
    conversation.at(at('before', 'CommandComplete', 'insert'), () => {
      conversation.connection.freeze('toClient')
      resolve()
    })
  })
  const left = db.query({ text: insert(1), signal: controller.signal })
  await isRun
  controller.abort(new Error('enough'))
  await t.rejects(left, { message: 'enough' })
  t.equal(db.outcome, 'rolled_back')
  conversation.connection.thaw()
  await db.query(insert(2))
  t.same(await ids(), [2])
  t.notOk(exchangesOf(conversation).flat().includes('COMMIT'))
})

t.test(
  'behind a read on a cold client, a write waits until that has shown that it lives',
  async t => {
    const { conversation, db } = await openCold(t)
    conversation.connection.freeze('toClient')
    const started = [db.query('select 1 x'), db.query(insert(1))]
    const results = await Promise.all(started)
    t.match(results, [{ rows: [{ x: 1 }] }, { rowCount: 1 }])
    t.notOk(exchangesOf(conversation).flat().includes(insert(1)))
    t.same(await ids(), [1])
    t.equal(db.outcome, 'applied')
  }
)

const unsendable = {
  toPostgres() {
    throw new RangeError('unsendable')
  }
}

t.test('of a batch with a value that cannot be sent, nothing is', async t => {
  const { conversation, db } = await openCold(t)
  const bad = { text: 'insert into notes values ($1)', values: [unsendable] }
  await t.rejects(db.batch([insert(1), bad]), RangeError)
  t.same(exchangesOf(conversation), [])
  t.match(db, { inTransaction: false, outcome: 'none' })
  t.same(await ids(), [])
})
