import PgCursor from 'pg-cursor'
import t, { type Test } from 'tap'
import type { Connection } from '../../src/connection.js'
import { Ledger } from '../../src/ledger.js'
import { until } from '../fixtures/open-engine.js'
import { at, openProxied } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'

/** Nobody looks after the silent ones, and nothing else ends a wait but the limit. */
const engineOptions = { half_open_timeout: 0, connect_timeout: 60, pool_size: 1, max_overflow: 0 }
const LIMIT_MS = 200

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
// They do nothing but wait.
t.jobs = 6
const apart = { buffered: true }
const insert = 'insert into notes values (1)'

interface Case {
  readonly work: (db: Connection) => Promise<unknown>
  /** The statement whose answer does not come. */
  readonly silentAt: string
  readonly outcome: string
  /** There is no other way to tell, or to be sure that it is undone. */
  readonly isGivenUp?: boolean
}

const own = { timeout: LIMIT_MS / 1000 }

const limitedByRequest: Record<string, Case> = {
  'a read': { work: db => db.query('select 2'), silentAt: 'select 2', outcome: 'none' },
  'a write by itself': { work: db => db.query(insert), silentAt: insert, outcome: 'unknown' },
  'a batch': { work: db => db.batch([insert, insert]), silentAt: insert, outcome: 'unknown' },
  'several in one text': {
    work: db => db.query(`${insert}; select 2`),
    silentAt: insert,
    outcome: 'unknown',
    isGivenUp: true
  },
  'the first statement of a transaction': {
    work: db => db.transaction(tx => tx.query(insert)),
    silentAt: insert,
    outcome: 'rolled_back',
    isGivenUp: true
  },
  'a later one, with others behind it': {
    work: db =>
      db.transaction(async tx => {
        await tx.query(insert)
        await Promise.all([tx.query('select 2'), tx.query(insert)])
      }),
    silentAt: 'select 2',
    outcome: 'rolled_back',
    isGivenUp: true
  },
  'a cursor': {
    work: db => db.query(new PgCursor('select 2')).read(1),
    silentAt: 'select 2',
    outcome: 'none',
    isGivenUp: true
  },
  'a COMMIT': {
    work: db => db.transaction(tx => tx.query(insert)),
    silentAt: 'COMMIT',
    outcome: 'unknown'
  }
}

const limitedByItself: Record<string, Case> = {
  'a read': {
    work: db => db.query({ ...own, text: 'select 2' }),
    silentAt: 'select 2',
    outcome: 'none'
  },
  'a write': {
    work: db => db.query({ ...own, text: insert }),
    silentAt: insert,
    outcome: 'unknown'
  },
  'a statement of a transaction': {
    work: db => db.transaction(tx => tx.query({ ...own, text: insert })),
    silentAt: insert,
    outcome: 'rolled_back',
    isGivenUp: true
  }
}

/** Runs it on a connection whose server falls silent in the middle; `isAlone`: it still hears others. */
async function inSilence(
  t: Test,
  { outcome, silentAt, work }: Case,
  { isAlone = false, isOfRequest }: { isAlone?: boolean; isOfRequest: boolean }
) {
  const { db: first, engine, protocol } = await openProxied(t, postgres, engineOptions)
  first.release()
  let late: number | undefined
  const db = engine.connection(new Ledger(), true, false, () => late)
  t.teardown(() => db.end())
  const conversation = protocol.conversations.at(-1)!
  conversation.at(at('before', 'Execute', silentAt), () => {
    conversation.connection.freeze()
    if (!isAlone) void protocol.proxy.blackhole()
  })
  const given: string[] = []
  for (const name of ['invalidate', 'close'] as const) engine.on(name, () => given.push(name))
  if (isOfRequest) late = performance.now() + LIMIT_MS
  await t.rejects(work(db), { code: 'FST_DB_DEADLINE', statusCode: 503, retryable: false, outcome })
  return { conversation, db, engine, given, protocol }
}

for (const [name, one] of Object.entries(limitedByRequest)) {
  t.test(`a request is answered in time, whatever the server does: ${name}`, apart, async t => {
    const { db, engine, given } = await inSilence(t, one, { isOfRequest: true })
    if (!one.isGivenUp) t.same(given, [], 'before anybody knows if the client lives')
    db.end()
    await until(() => engine.status().checkedOut === 0 || given.length > 0)
  })
}

for (const [name, one] of Object.entries(limitedByItself)) {
  t.test(`so is a statement that has a limit of its own: ${name}`, apart, async t => {
    const { given } = await inSilence(t, one, { isOfRequest: false })
    if (!one.isGivenUp) t.same(given, [])
  })
}

t.test('once it is known to be lost, the next statement has another one', apart, async t => {
  const { db, engine, protocol } = await inSilence(t, limitedByItself['a read']!, {
    isOfRequest: false
  })
  const isLost = new Promise(resolve => engine.on('invalidate', resolve))
  await protocol.proxy.accept()
  await isLost
  t.match(await db.query("set application_name = 'next'"), { command: 'SET' })
})

t.test('the client of a statement that was left is used again', apart, async t => {
  const read = limitedByItself['a read']!
  const { conversation, db, engine, given } = await inSilence(t, read, {
    isAlone: true,
    isOfRequest: false
  })
  const next = db.query('select 3 x')
  conversation.connection.thaw()
  t.match((await next).rows, [{ x: 3 }])
  db.release()
  t.match(engine.status(), { idle: 1, size: 1, generation: 0 })
  t.same(given, [])
})
