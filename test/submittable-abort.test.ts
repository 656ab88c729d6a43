import PgCursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import t from 'tap'
import type { Connection } from '../src/connection.js'
import type { SessionQueryable } from '../src/queryable.js'
import { buildApp, named } from './fixtures/app.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
const reason = new Error('not needed any more')
const NUMBERS = 'select generate_series(1, 5) id'
/** Two rows, and then nothing more. */
const HALF =
  'select id, case when id > 2 then pg_sleep(600)::text end from generate_series(1, 5) id'

async function readCursor(on: SessionQueryable) {
  const cursor = on.query(new PgCursor(HALF))
  await cursor.read(2)
  await cursor.read(2)
}

async function readStream(on: SessionQueryable) {
  for await (const _ of on.query(new QueryStream(HALF, [], { batchSize: 2 })));
}

/** A connection in a transaction whose signal is aborted while `fn` waits for the server. */
async function abortWhileAsleep(name: string, fn: (tx: SessionQueryable) => Promise<unknown>) {
  const { engine } = openEngine(t, named(postgres.url, name), { pool_size: 1, max_overflow: 0 })
  const pid = await servedBy(engine)
  const stop = new AbortController()
  const ending = engine.transaction(
    async tx => {
      await tx.query('insert into notes values (1)')
      await fn(tx)
    },
    { signal: stop.signal }
  )
  const settled = Promise.allSettled([ending])
  await postgres.untilBackends({ applicationName: name, where: "wait_event = 'PgSleep'" })
  stop.abort(reason)
  return { engine, outcome: (await settled)[0], pid }
}

for (const [name, read] of Object.entries({ cursor: readCursor, stream: readStream })) {
  t.test(
    `a ${name} in a transaction is cancelled by its signal, and its client serves on`,
    async t => {
      const seen: unknown[] = []
      const { engine, outcome, pid } = await abortWhileAsleep(name, async tx =>
        read(tx).catch(error => {
          seen.push(error)
          throw error
        })
      )
      t.match(outcome, { status: 'rejected', reason })
      t.strictSame(seen, [reason], 'it is told why')
      t.equal(await servedBy(engine), pid)
      t.same(await postgres.admin('select * from notes'), [])
    }
  )
}

t.test(
  'one that waits behind another statement is never sent, and a later one refused',
  async t => {
    const { outcome } = await abortWhileAsleep('behind', async tx => {
      const first = tx.query('select pg_sleep(600)').catch(() => {})
      const cursor = tx.query(new PgCursor(NUMBERS))
      await t.rejects(cursor.read(1), reason)
      await first
      await t.rejects(tx.query(new PgCursor(NUMBERS)).read(1), reason)
    })
    t.match(outcome, { status: 'rejected', reason })
  }
)

t.test('one that is over is no longer listened for', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const stop = new AbortController()
  await engine.transaction(
    async tx => {
      const cursor = tx.query(new PgCursor(NUMBERS))
      t.equal((await cursor.read(10)).length, 5)
      await cursor.close()
    },
    { signal: stop.signal }
  )
  const next = engine.query("select pg_sleep(0), 'next'")
  stop.abort(reason)
  t.match(await next, { rowCount: 1 })
})

t.test('the time limit of a route ends a cursor or stream with a coded 503', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    const config = { db: { timeout: 1 } }
    app.get('/cursor', { config }, async ({ db }) => readCursor(db as unknown as Connection))
    app.get('/stream', { config }, async ({ db }) => readStream(db as unknown as Connection))
  })
  // What the limit is to strike is a statement, not a connect.
  await app.db.query('select 1')
  for (const url of ['/cursor', '/stream']) {
    const answer = await app.inject(url)
    t.match([answer.statusCode, answer.json().code], [503, 'FST_DB_DEADLINE'])
    await until(() => app.db.status().checkedOut === 0)
    t.match(app.db.status(), { size: 1, idle: 1 })
  }
})

t.test('a batch refuses what would be without effect', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  t.teardown(() => db.end())
  const options = [{ signal: new AbortController().signal }, { timeout: 1 }, { readOnly: true }]
  for (const option of options) {
    const [name] = Object.keys(option)
    const statement = { text: 'select 1', ...option } as { text: string }
    const refused = { code: 'FST_DB_TRANSACTION_STATE', message: new RegExp(`takes no ${name}`) }
    await t.rejects(db.batch(['select 1', statement]), refused)
    await t.rejects(
      db.transaction(tx => tx.batch([statement])),
      refused
    )
  }
  t.equal(engine.status().checkedOut, 0, 'nothing was begun')
})
