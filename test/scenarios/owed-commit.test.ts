import t from 'tap'
import type { EngineOptionsInput } from '../../src/options.js'
import { requestOf, until } from '../fixtures/open-engine.js'
import { at, exchangesOf, openProxied } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const ONE: EngineOptionsInput = { pool_size: 1, max_overflow: 0 }
const READ = 'select count(*)::int n from notes'
const FIRST = ['BEGIN', 'SHOW transaction_isolation', READ]
const insert = (id: number) => `insert into notes values (${id})`
const cutAtCommit = () => at('before', 'Execute', 'COMMIT')

async function ids(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

t.test('what a transaction has read is there before it has ended', async t => {
  const { conversation, db, ledger } = await openProxied(t, postgres)
  conversation.cutAt(cutAtCommit(), 'rst')
  const { rows } = await db.transaction(tx => tx.query(READ))
  t.same(rows, [{ n: 0 }])
  t.equal(db.inTransaction, false)
  t.same(exchangesOf(conversation), [FIRST])
  t.same((await db.query(READ)).rows, [{ n: 0 }], 'that it was lost then is nobody’s error')
  t.equal(ledger.outcome, 'none')
})

t.test('a session does not stay in it', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(tx => tx.query(READ))
  await postgres.untilBackends({ pids: [conversation.pid ?? 0], where: "state = 'idle'" })
  t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
})

t.test('its COMMIT goes with what comes next on the connection', async t => {
  const next: Record<string, [string, string[]]> = {
    'a read': [READ, ['COMMIT', READ]],
    'a write': [insert(1), ['COMMIT', insert(1), 'evidence']],
    'a setting': ["set work_mem = '1234kB'", ['COMMIT', "set work_mem = '1234kB'"]],
    'a BEGIN by hand': ['begin', ['COMMIT', 'begin']]
  }
  for (const [name, [text, exchange]] of Object.entries(next)) {
    await t.test(name, async t => {
      const { conversation, db } = await openProxied(t, postgres)
      await db.transaction(tx => tx.query(READ))
      await db.query(text)
      t.same(exchangesOf(conversation), [FIRST, exchange])
      t.equal(db.inTransaction, text === 'begin')
    })
  }

  await t.test('a batch, another transaction', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    await db.transaction(tx => tx.query(READ))
    await db.transaction(tx => tx.query(READ))
    await db.batch([READ, READ])
    t.same(exchangesOf(conversation), [
      FIRST,
      ['COMMIT', 'BEGIN', READ],
      ['COMMIT', 'BEGIN', READ, READ, 'COMMIT']
    ])
  })

  await t.test('not a text of several statements, which it goes before', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    await db.transaction(tx => tx.query(READ))
    await db.query(`${insert(1)}; ${insert(2)}`)
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT'], [`${insert(1)}; ${insert(2)}`]])
    t.same(await ids(), [1, 2])
  })

  await t.test('not what somebody sends on the client itself', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    await db.transaction(tx => tx.query(READ))
    const client = await db.client()
    await client.query(insert(1))
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT'], [insert(1)]])
    t.same(await ids(), [1])
  })
})

t.test('an error behind it is the next statement’s own', async t => {
  const { conversation, db } = await openProxied(t, postgres)
  await db.transaction(tx => tx.query(READ))
  await t.rejects(db.query('select 1/0'), { code: '22012' })
  t.same(exchangesOf(conversation), [FIRST, ['COMMIT', 'select 1/0']])
  t.equal(db.inTransaction, false)

  await db.transaction(tx => tx.query(READ))
  await t.rejects(
    db.transaction(tx => tx.query('select 1/0')),
    { code: '22012' }
  )
  t.equal(db.inTransaction, false)
  t.same((await db.query('select 1 x')).rows, [{ x: 1 }])
})

t.test('it goes with the first statement of whoever waits for the client', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres, ONE)
  const reading = db.transaction(tx => tx.query(READ)).then(() => db.end())
  const other = requestOf(engine)
  const third = requestOf(engine)
  const results = await Promise.all([
    other.transaction(tx => tx.query(READ)).then(() => other.end()),
    third.query(insert(1)).then(() => third.end()),
    reading
  ])
  t.equal(results.length, 3)
  t.same(exchangesOf(conversation), [
    FIRST,
    ['COMMIT', 'BEGIN', READ],
    ['COMMIT', insert(1), 'evidence']
  ])
  t.equal(engine.status().counters.checkouts, 3)
})

t.test('where nobody waits, the client is idle when it is answered', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres, ONE)
  await db.transaction(tx => tx.query(READ))
  db.end()
  t.equal(engine.status().idle, 0)
  await until(() => engine.status().idle === 1)
  t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
})

t.test('a client that is lost with it is replaced for whoever got it', async t => {
  const waiting: Record<string, (db: ReturnType<typeof requestOf>) => Promise<unknown>> = {
    'a read': db => db.query(READ),
    'a transaction': db => db.transaction(tx => tx.query(insert(1)).then(() => tx.query(READ)))
  }
  for (const [name, work] of Object.entries(waiting)) {
    await t.test(name, async t => {
      const { conversation, db, engine } = await openProxied(t, postgres, ONE)
      const reading = db.transaction(tx => tx.query(READ)).then(() => db.end())
      const other = requestOf(engine)
      const working = work(other).then(() => other.end())
      conversation.cutAt(cutAtCommit(), 'rst')
      await Promise.all([reading, working])
      t.equal(engine.status().counters.connects, 2)
      await postgres.admin('truncate notes')
    })
  }

  await t.test('but for an autocommit write, which may have been done', async t => {
    const { conversation, db, engine } = await openProxied(t, postgres, ONE)
    const reading = db.transaction(tx => tx.query(READ)).then(() => db.end())
    const other = requestOf(engine)
    const writing = other.query(insert(1)).catch((error: unknown) => error)
    conversation.cutAt(cutAtCommit(), 'rst')
    await reading
    t.match(await writing, { code: 'FST_DB_OUTCOME_UNKNOWN', retryable: false })
    t.same(await ids(), [])
    other.end()
  })
})

t.test('COMMIT is waited for where something depends on it', async t => {
  const texts: Record<string, (db: ReturnType<typeof requestOf>) => Promise<unknown>> = {
    'a write': db => db.transaction(tx => tx.query(insert(1))),
    'a write in a batch': db => db.transaction(tx => tx.batch([READ, insert(1)])),
    'a write behind a read': db =>
      db.transaction(async tx => {
        await tx.query(READ)
        await tx.query(insert(1))
      }),
    'a function': db => db.transaction(tx => tx.query("select pg_notify('news', 'x')")),
    'a function in READ ONLY': db =>
      db.transaction(tx => tx.query('select pg_advisory_xact_lock(1)'), { readOnly: true }),
    'a row lock': db => db.transaction(tx => tx.query('select 1 from notes for share')),
    'a setting by a function': db =>
      db.transaction(tx => tx.query("select set_config('my.own', 'x', true)")),
    'several statements': db => db.transaction(tx => tx.query('select 1; select 2')),
    'a savepoint': db => db.transaction(tx => tx.transaction(nested => nested.query(READ))),
    'a setting': db => db.transaction(tx => tx.query("set local work_mem = '1234kB'")),
    SERIALIZABLE: db =>
      db.transaction(tx => tx.query(READ), { isolationLevel: 'SERIALIZABLE', readOnly: true })
  }
  for (const [name, work] of Object.entries(texts)) {
    await t.test(name, async t => {
      const { conversation, db } = await openProxied(t, postgres)
      await work(db)
      t.same(exchangesOf(conversation).at(-1), ['COMMIT'])
    })
  }

  await t.test('a session whose transactions are SERIALIZABLE', async t => {
    const { conversation, db } = await openProxied(t, postgres, { isolation_level: 'SERIALIZABLE' })
    for (let i = 0; i < 2; i += 1) {
      await db.transaction(tx => tx.query(READ))
      t.same(exchangesOf(conversation).at(-1), ['COMMIT'])
    }
    await db.transaction(tx => tx.query(READ), { isolationLevel: 'REPEATABLE READ' })
    await db.query(READ)
    t.same(exchangesOf(conversation).at(-1), ['COMMIT', READ])
  })

  await t.test('because the server says so', async t => {
    const { conversation, db } = await openProxied(t, postgres, {
      connect_args: { options: '-c default_transaction_isolation=serializable' }
    })
    await db.transaction(tx => tx.query(READ))
    t.same(exchangesOf(conversation).at(-1), ['COMMIT'])
  })

  await t.test('because a statement has said so since', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    await db.transaction(tx => tx.query(READ))
    await db.query("set default_transaction_isolation = 'serializable'")
    await db.transaction(tx => tx.query(READ))
    t.same(exchangesOf(conversation).slice(-2), [FIRST, ['COMMIT']])
  })

  await t.test('because it is so again, when all that was set is reset', async t => {
    const { conversation, db, engine } = await openProxied(t, postgres, {
      ...ONE,
      isolation_level: 'SERIALIZABLE',
      pool_reset_on_return: 'discard'
    })
    await db.query("set default_transaction_isolation = 'read committed'")
    await db.transaction(tx => tx.query(READ))
    db.end()
    const other = requestOf(engine)
    await other.transaction(tx => tx.query(READ))
    t.same(exchangesOf(conversation).slice(-2), [FIRST, ['COMMIT']])
    other.end()
  })

  for (const event of ['reset', 'checkin'] as const) {
    await t.test(`a listener of ${event}, who may use the client`, async t => {
      const { conversation, db, engine } = await openProxied(t, postgres)
      engine.on(event, () => {})
      await db.transaction(tx => tx.query(READ))
      t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
    })
  }

  await t.test('a client that is in other hands', async t => {
    const { conversation, db } = await openProxied(t, postgres)
    await db.client()
    await db.transaction(tx => tx.query(READ))
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
  })
})
