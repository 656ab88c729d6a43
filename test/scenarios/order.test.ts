import pg from 'pg'
import Cursor from 'pg-cursor'
import t from 'tap'
import type { Connection } from '../../src/connection.js'
import { openEngine, requestOf } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table log (id serial, entry text)')

const insert = 'insert into log (entry) values ($1) returning *'

async function entries(): Promise<string[]> {
  const rows = await postgres.admin('select entry from log order by id')
  return rows.map(({ entry }) => String(entry))
}

/** A request's connection, and another one that has the only client until it is released. */
async function waiting(test: Pick<typeof t, 'teardown'>) {
  await postgres.admin('truncate log')
  const { engine } = openEngine(test, postgres.url, { pool_size: 1, max_overflow: 0 })
  const holder = await engine.connect()
  const connection = requestOf(engine)
  test.teardown(() => connection.end())
  return { connection, engine, holder }
}

t.test(
  'statements that wait for a client keep their order, whether or not they are limited',
  async t => {
    const limits = {
      'a time limit': { timeout: 30 },
      'a signal': { signal: new AbortController().signal }
    }
    for (const [what, limit] of Object.entries(limits)) {
      const { connection, holder } = await waiting(t)
      const started = [
        connection.query({ text: insert, values: ['1'], ...limit }),
        connection.query(insert, ['2']),
        connection.query({ text: insert, values: ['3'], ...limit }),
        connection.query(insert, ['4'])
      ]
      holder.release()
      await Promise.all(started)
      t.strictSame(await entries(), ['1', '2', '3', '4'], what)
    }
  }
)

t.test('a BEGIN with a time limit is not overtaken by what it was to undo', async t => {
  const { connection, holder } = await waiting(t)
  const started = [
    connection.query({ text: 'begin', timeout: 30 }),
    connection.query(insert, ['undone']),
    connection.query('rollback')
  ]
  holder.release()
  await Promise.all(started)
  t.strictSame(await entries(), [])
})

async function ready(test: Pick<typeof t, 'teardown'>): Promise<Connection> {
  const { connection, holder } = await waiting(test)
  holder.release()
  return connection
}

/** Each is to write "first". */
const others: Record<string, (connection: Connection) => Promise<unknown>> = {
  'a text of several statements': connection =>
    connection.query("insert into log (entry) values ('first'); select 1"),
  'a pg.Query': connection =>
    new Promise(resolve => {
      const query = new pg.Query("insert into log (entry) values ('first')")
      Reflect.set(query, 'callback', resolve)
      connection.query(query as unknown as pg.Submittable)
    }),
  'a cursor': connection =>
    connection.query(new Cursor("insert into log (entry) values ('first') returning *")).read(10)
}

for (const [what, first] of Object.entries(others)) {
  t.test(`${what} is not overtaken by the statement behind it`, async t => {
    const connection = await ready(t)
    for (const isInTransaction of [false, true]) {
      await postgres.admin('truncate log')
      await connection.query('select 1')
      const both = () => Promise.all([first(connection), connection.query(insert, ['second'])])
      if (isInTransaction) await connection.transaction(both)
      else await both()
      t.strictSame(await entries(), ['first', 'second'], `in a transaction: ${isInTransaction}`)
    }
  })
}

t.test(
  'the settings of a text of several statements count for the statement behind it',
  async t => {
    const connection = await ready(t)
    await connection.query('select 1')
    const [, { rows }] = await Promise.all([
      connection.query("set application_name to 'ours'; select 1"),
      connection.query<{ name: string }>("select current_setting('application_name') as name")
    ])
    t.strictSame(rows, [{ name: 'ours' }])
  }
)

/** A connection that has prepared the INSERT, which then comes to return something else. */
async function outdated(test: Pick<typeof t, 'teardown'>) {
  const connection = await ready(test)
  for (let i = 0; i < 4; i += 1) await connection.query(insert, ['before'])
  await postgres.admin('truncate log')
  await postgres.admin(`alter table log add column ${`c${Math.random()}`.replace('.', '')} int`)
  return connection
}

t.test('what was prepared and has changed is run again before what waits behind it', async t => {
  const connection = await outdated(t)
  const kept = connection.query(insert, ['kept'])
  const behind = [
    connection.query('begin'),
    connection.query(insert, ['undone']),
    connection.query('rollback')
  ]
  t.match(await kept, { rows: [{ entry: 'kept' }] })
  // The one in the transaction was sent as it was prepared, as well: there the error is its own.
  await Promise.allSettled(behind)
  t.strictSame(await entries(), ['kept'])
  t.equal(connection.outcome, 'applied')
})

t.test('a transaction that is started behind it does not take it in', async t => {
  const connection = await outdated(t)
  const kept = connection.query(insert, ['kept'])
  const undone = connection.transaction(async transaction => {
    await transaction.query('select 1')
    throw new Error('undo')
  })
  await t.rejects(undone, /undo/)
  t.match(await kept, { rowCount: 1 })
  t.strictSame(await entries(), ['kept'])
})

t.test('it fails rather than to come behind a change that was sent with it', async t => {
  const connection = await outdated(t)
  const first = connection.query(insert, ['first'])
  const second = connection.query("update log set entry = entry || ' marked'")
  await t.rejects(first, { code: '0A000' })
  t.match(await second, { rowCount: 0 })
  t.strictSame(await entries(), [])
})

t.test('reads that were sent together are all run again', async t => {
  const connection = await ready(t)
  const read = 'select * from log'
  for (let i = 0; i < 3; i += 1) await connection.query(read)
  await postgres.admin('alter table log add column later int')
  const results = await Promise.all([1, 2, 3].map(() => connection.query(read)))
  for (const { fields } of results) t.equal(fields.at(-1)?.name, 'later')
})

t.test(
  'changes that were sent together and all have lost what was prepared keep their order',
  async t => {
    const connection = await ready(t)
    const plain = 'insert into log (entry) values ($1)'
    for (let i = 0; i < 4; i += 1) await connection.query(plain, ['before'])
    await connection.query('deallocate all')
    await postgres.admin('truncate log')
    const given = ['1', '2', '3', '4', '5']
    const results = await Promise.all(given.map(entry => connection.query(plain, [entry])))
    for (const { rowCount } of results) t.equal(rowCount, 1)
    t.strictSame(await entries(), given)
  }
)

t.test('what was lost with an earlier client keeps nothing from being run again', async t => {
  const connection = await ready(t)
  await t.rejects(connection.query('select pg_terminate_backend(pg_backend_pid())'))
  for (let i = 0; i < 4; i += 1) await connection.query(insert, ['before'])
  await postgres.admin('alter table log add column after_all int')
  t.match(await connection.query(insert, ['kept']), { rowCount: 1 })
})

t.test(
  'a query of a library that waits for a client stays in the transaction it was started in',
  async t => {
    const undo = new Error('undo')
    for (const isFollowed of [false, true]) {
      const { connection, holder } = await waiting(t)
      let first: Promise<unknown> = Promise.resolve()
      const one = connection.transaction(async () => {
        first = others['a pg.Query']?.(connection) ?? first
        if (!isFollowed) throw undo
      })
      holder.release()
      if (!isFollowed) await t.rejects(one, undo)
      else {
        await one
        const next = connection.transaction(async () => {
          await connection.query(insert, ['undone'])
          throw undo
        })
        await t.rejects(next, undo)
      }
      await first
      t.strictSame(await entries(), isFollowed ? ['first'] : [])
    }
  }
)

t.test('a cursor that waits for a client is not overtaken in its transaction', async t => {
  const { connection, holder } = await waiting(t)
  const both = connection.transaction(() =>
    Promise.all([others['a cursor']?.(connection), connection.query(insert, ['second'])])
  )
  holder.release()
  await both
  t.strictSame(await entries(), ['first', 'second'])
})

t.test(
  'a change that has lost what was prepared does not come behind one that brings its own',
  async t => {
    const connection = await ready(t)
    const mark = "update log set entry = entry || ' marked' where entry <> $1"
    for (let i = 0; i < 3; i += 1) await connection.query(insert, ['before'])
    await connection.query(mark, ['none'])
    await postgres.admin('truncate log')
    await connection.query('deallocate all')
    await t.rejects(
      Promise.all([connection.query(insert, ['first']), connection.query(mark, ['none'])]),
      { code: '26000' }
    )
    t.strictSame(await entries(), [])
  }
)

t.test('what waits for the text that begins a transaction is not overtaken', async t => {
  const { connection, holder } = await waiting(t)
  holder.release()
  await connection.transaction(async tx => {
    const begun = postgres.untilBackends({ where: "wait_event = 'PgSleep' and state = 'active'" })
    const started = [tx.query('select 1; select pg_sleep(0.2)'), tx.query(insert, ['1'])]
    await begun
    started.push(tx.query(insert, ['2']))
    await Promise.all(started)
  })
  t.strictSame(await entries(), ['1', '2'])
})

t.test(
  'nor is what is told that the transaction has begun, whoever comes a moment later',
  async t => {
    for (let turns = 0; turns < 12; turns += 1) {
      const { connection, holder } = await waiting(t)
      holder.release()
      await connection.transaction(async tx => {
        const first = tx.query('select 1')
        const started = [tx.query(insert, ['1']), tx.query(insert, ['2'])]
        await first
        for (let turn = 0; turn < turns; turn += 1) await undefined
        await Promise.all([...started, tx.query(insert, ['3'])])
      })
      t.strictSame(await entries(), ['1', '2', '3'], `${turns} turns`)
    }
  }
)
