import type { QueryResult } from 'pg'
import t from 'tap'
import { systemClock } from '../src/clock.js'
import type { Connection } from '../src/connection.js'
import { Ledger } from '../src/ledger.js'
import { openEngine } from './fixtures/open-engine.js'
import { at, atEvidence, atReadyAfter, openProxied } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProtocolProxy } from './fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int, name text)')
await postgres.admin(`create table once (id int unique deferrable initially deferred)`)
t.beforeEach(() => postgres.admin('truncate notes, once'))

const disconnected = { code: 'FST_DB_DISCONNECTED', outcome: 'rolled_back', retryable: true }
const unknown = { code: 'FST_DB_OUTCOME_UNKNOWN', outcome: 'unknown', retryable: false }
const lost = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/ }

async function ids(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

function insert(id: number): string {
  return `insert into notes values (${id}) returning id`
}

const idOf = ({ rows }: QueryResult) => rows[0]?.id

const WAYS: Record<string, (db: Connection) => Promise<unknown>> = {
  'an autocommit write': async db => idOf(await db.query(insert(1))),
  'a transaction': db => db.transaction(async tx => idOf(await tx.query(insert(1)))),
  'a batch': async db => idOf((await db.batch(['select 1', insert(1)]))[1]!),
  'a transaction begun by hand': async db => {
    await db.query('begin')
    const result = await db.query(insert(1))
    await db.query('commit')
    return idOf(result)
  },
  'a function that writes': async db => idOf(await db.query('select id from write_note(1) t(id)'))
}
await postgres.admin(
  `create function write_note(x int) returns int language sql as 'insert into notes values (x) returning id'`
)

t.test('what was committed and not answered succeeds, with its result', async t => {
  for (const [way, work] of Object.entries(WAYS)) {
    for (const how of ['fin', 'rst'] as const) {
      const { conversation, db, engine } = await openProxied(t, postgres)
      const text = /transaction|batch/.test(way) ? 'COMMIT' : 'select pg_catalog'
      const point = atReadyAfter('before', way.endsWith('by hand') ? 'commit' : text)
      conversation.cutAt(point, how)
      t.equal(await work(db), 1, way)
      t.ok(conversation.isCut)
      t.strictSame(await ids(), [1], way)
      t.match(db, { outcome: 'applied', inTransaction: false })
      t.equal(engine.status().replays, 0)
      await postgres.admin('truncate notes')
    }
  }
})

t.test('a COMMIT that did not get through is known not to have happened', async t => {
  for (const way of ['a transaction', 'a transaction begun by hand']) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    conversation.cutAt(
      at('before', 'Execute', way.endsWith('by hand') ? 'commit' : 'COMMIT'),
      'fin'
    )
    await t.rejects(WAYS[way]!(db), disconnected)
    t.strictSame(await ids(), [])
    t.equal(engine.status().replays, 0, 'a COMMIT is never sent twice')
  }
})

t.test('without a word about the transaction nobody can say', async t => {
  for (const way of ['an autocommit write', 'a batch', 'a function that writes']) {
    const { conversation, db, engine } = await openProxied(t, postgres)
    conversation.cutAt(atEvidence('before'), 'fin')
    await t.rejects(WAYS[way]!(db), unknown, way)
    t.equal(engine.status().replays, 0)
    await t.resolves(db.query('select 1'))
    t.equal(db.outcome, 'unknown', 'for good')
    await t.rejects(db.query('select 1/0'), { code: '22012' })
    t.equal(db.outcome, 'unknown')
  }
})

t.test('what is known of a later transaction settles nothing of an earlier doubt', async t => {
  const { conversation, db, protocol } = await openProxied(t, postgres)
  conversation.cutAt(atEvidence('before'), 'fin')
  await t.rejects(db.query(insert(1)), unknown)
  const work = db.transaction(async tx => {
    await tx.query(insert(2))
    protocol.conversations.at(-1)!.cut('fin')
    await tx.query(insert(3))
  })
  await t.rejects(work, unknown)
  t.equal(db.outcome, 'unknown')
})

t.test('nobody is asked where doubt is not to be resolved', async t => {
  const { conversation, db } = await openProxied(t, postgres, { resolve_doubt: false })
  conversation.cutAt(at('before', 'ReadyForQuery'), 'fin')
  await t.rejects(db.query(insert(1)), unknown)
})

t.test('a transaction is never answered for by the one before it', async t => {
  const chains: Record<string, string[]> = {
    'COMMIT AND CHAIN': ['begin', insert(1), 'commit and chain'],
    'END AND CHAIN': ['begin', insert(1), 'end work and chain'],
    'a script': ['begin', insert(1), 'commit; begin'],
    'a new BEGIN': ['begin', insert(1), 'commit', 'begin']
  }
  for (const [what, texts] of Object.entries(chains)) {
    const { conversation, db } = await openProxied(t, postgres)
    for (const text of texts) await db.query(text)
    await db.query(insert(2))
    conversation.cutAt(at('before', 'Execute', 'commit transaction'), 'fin')
    await t.rejects(db.query('commit transaction'), lost, what)
    t.strictSame(await ids(), [1], what)
    await postgres.admin('truncate notes')
  }
})

t.test('nor is it undone because that one was', async t => {
  for (const chain of ['rollback and chain', 'rollback; begin']) {
    const { conversation, db } = await openProxied(t, postgres)
    for (const text of ['begin', insert(1), chain, insert(2)]) await db.query(text)
    conversation.cutAt(atReadyAfter('before', 'commit'), 'fin')
    const error = await db.query('commit').then(
      () => undefined,
      error => error
    )
    t.not(error?.outcome, 'rolled_back', chain)
    t.not(error?.retryable, true, chain)
    t.strictSame(await ids(), [2])
    await postgres.admin('truncate notes')
  }
})

t.test('nor by one that others have ended through the client', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.query('begin')
  await db.query(insert(1))
  const raw = await db.client()
  await raw.query('commit; begin')
  await db.query(insert(2))
  conversation.cutAt(at('before', 'Execute', 'commit'), 'fin')
  await t.rejects(db.query('commit'), lost)
  t.strictSame(await ids(), [1])
})

t.test('nor by that of another session', async t => {
  const { conversation, db, protocol } = await openProxied(t, postgres)
  await db.query('begin')
  await db.query(insert(1))
  conversation.cut('fin')
  await t.rejects(db.query(insert(2)), disconnected)
  await db.query('rollback')
  await db.query('select 1')
  protocol.conversations.at(-1)!.cutAt(atEvidence('before'), 'fin')
  await t.rejects(db.query(insert(3)), { ...unknown, code: 'FST_DB_OUTCOME_UNKNOWN' })
})

t.test(
  'a statement that fails where something unseen was done does not end its session',
  async t => {
    const unseen: ((db: Connection) => Promise<unknown>)[] = [
      db => db.query('select 1; select 2'),
      async db => (await db.client()).query('select 1')
    ]
    for (const work of unseen) {
      const { conversation, db } = await openProxied(t, postgres)
      await work(db)
      await db.transaction(async tx => {
        await tx.query(insert(1))
        const nested = tx.transaction(savepoint => savepoint.query('select 1/0'))
        await t.rejects(nested, { code: '22012' })
        await tx.query(insert(2))
      })
      t.strictSame(await ids(), [1, 2])
      t.equal(conversation.isCut, false)
      await postgres.admin('truncate notes')
    }
  }
)

t.test('a failure at the commit itself is one, though every statement was complete', async t => {
  const { db } = await openProxied(t, postgres)
  await t.rejects(db.query('insert into once values (1), (1)'), { code: '23505' })
  t.equal(db.outcome, 'rolled_back')
  await t.rejects(db.batch(['select 1', 'insert into once values (1), (1)']), { code: '23505' })
  const work = db.transaction(tx => tx.query('insert into once values (1), (1)'))
  await t.rejects(work, { code: '23505' })
  t.match(db, { outcome: 'rolled_back', inTransaction: false })
})

t.test('a result that cannot be read was committed all the same', async t => {
  const types = {
    getTypeParser: () => () => {
      throw new RangeError('unreadable')
    }
  }
  const config = { text: insert(1), types }
  const runs: ((db: Connection) => Promise<unknown>)[] = [
    db => db.query(config),
    db => db.batch([config])
  ]
  for (const run of runs) {
    const { db } = await openProxied(t, postgres)
    await t.rejects(run(db), RangeError)
    t.strictSame(await ids(), [1])
    t.equal(db.outcome, 'applied')
    await postgres.admin('truncate notes')
  }
})

t.test('a value that cannot be sent has nothing committed', async t => {
  const value = {
    toPostgres() {
      throw new RangeError('unwritable')
    }
  }
  const config = { text: 'insert into notes values (2, $1)', values: [value] }
  const { db } = await openProxied(t, postgres)
  await t.rejects(db.query(config), RangeError)
  await t.rejects(db.batch([insert(1), config, insert(3)]), RangeError)
  await t.rejects(
    db.transaction(tx => tx.query(config)),
    RangeError
  )
  t.strictSame(await ids(), [])
  t.match(db, { inTransaction: false, invalidated: false, outcome: 'none' })
  t.match(await db.query(insert(4)), { rows: [{ id: 4 }] })
})

t.test(
  'who has a deadline of its own is told in time that nobody knows',
  { timeout: 20_000 },
  async t => {
    const protocol = await startProtocolProxy(t, postgres)
    const { engine } = openEngine(t, protocol.proxy.url(postgres.url), { recovery_timeout: 60 })
    await engine.query('select 1')
    const deadline = systemClock.now() + 1000
    const db = engine.connection(new Ledger(), true, false, () => deadline)
    t.teardown(() => db.end())
    const conversation = protocol.conversations.at(-1)!
    conversation.at(at('after', 'Execute', 'COMMIT'), () => {
      protocol.proxy.refuse()
      conversation.cut('fin')
    })
    const losing = db.transaction(tx => tx.query('insert into notes values (77)'))
    await t.rejects(losing, unknown)
  }
)
