import t, { type Test } from 'tap'
import type { Engine } from '../../src/engine.js'
import type { EngineOptionsInput } from '../../src/options.js'
import { buildApp } from '../fixtures/app.js'
import { requestOf, until } from '../fixtures/open-engine.js'
import { at, exchangesOf, openProxied, roundTripsOf } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
await postgres.admin('create table audit (id int references notes deferrable initially deferred)')
await postgres.admin(`create function audited() returns int language sql as
  'insert into audit values (null); select 42'`)
await postgres.admin(`create function misfiled() returns int language sql as
  'insert into audit values (77); select 42'`)
await postgres.admin('create view seen as select audited() n')
await postgres.admin('create view unsound as select misfiled() n')
t.beforeEach(() => postgres.admin('truncate notes, audit'))

const ONE: EngineOptionsInput = { pool_size: 1, max_overflow: 0 }
const READ = 'select count(*)::int n from notes'
const FIRST = ['BEGIN', 'SHOW transaction_isolation', READ]
const CIRCULAR: { self?: object } = {}
CIRCULAR.self = CIRCULAR
type Opened = Awaited<ReturnType<typeof openAwaited>>
const insert = (id: number) => `insert into notes values (${id})`
const cutAtCommit = () => at('before', 'Execute', 'COMMIT')

async function ids(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

/** Somebody who waits for the pool's client; what is returned gives it to them. */
function waiterFor(t: Test, db: ReturnType<typeof requestOf>, engine: Engine) {
  const other = requestOf(engine)
  const waiting = other.query('select 1 waited')
  return async () => {
    db.end()
    t.same((await waiting).rows, [{ waited: 1 }])
    other.end()
  }
}

/** As {@link openProxied}, with a pool of one client, and somebody who waits for it until `ended`. */
async function openAwaited(t: Test, options: EngineOptionsInput = {}) {
  const opened = await openProxied(t, postgres, { ...ONE, ...options })
  return { ...opened, ended: waiterFor(t, opened.db, opened.engine) }
}

t.test('what a transaction has read is there before it has ended', async t => {
  const { conversation, db, ended, ledger } = await openAwaited(t)
  conversation.cutAt(cutAtCommit(), 'rst')
  const { rows } = await db.transaction(tx => tx.query(READ))
  t.same(rows, [{ n: 0 }])
  t.equal(db.inTransaction, false)
  t.same(exchangesOf(conversation), [FIRST])
  t.equal(ledger.outcome, 'none')
  await ended()
})

t.test('where nobody waits for the client, COMMIT is waited for', async t => {
  const { conversation, db, engine } = await openProxied(t, postgres, { ...ONE, pool_timeout: 0 })
  await db.transaction(tx => tx.query(READ))
  t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
  t.equal(conversation.dialogue.at(-1)?.name, 'ReadyForQuery')
  t.equal(roundTripsOf(conversation), 2)
  db.end()
  t.equal(engine.status().idle, 1, 'so that whoever does not wait finds it idle')
})

t.test('where somebody waits, it goes with what comes next', async t => {
  const next: Record<string, [string, string[]]> = {
    'a read': [READ, ['COMMIT', READ]],
    'a write': [insert(1), ['COMMIT', insert(1), 'evidence']],
    'a setting': ["set work_mem = '1234kB'", ['COMMIT', "set work_mem = '1234kB'"]],
    'a BEGIN by hand': ['begin', ['COMMIT', 'begin']]
  }
  for (const [name, [text, exchange]] of Object.entries(next)) {
    await t.test(name, async t => {
      const { conversation, db, ended } = await openAwaited(t)
      await db.transaction(tx => tx.query(READ))
      await db.query(text)
      t.same(exchangesOf(conversation), [FIRST, exchange])
      t.equal(db.inTransaction, text === 'begin')
      await ended()
    })
  }

  await t.test('a batch, another transaction', async t => {
    const { conversation, db, ended } = await openAwaited(t)
    await db.transaction(tx => tx.query(READ))
    await db.transaction(tx => tx.query(READ))
    await db.batch([READ, READ])
    t.same(exchangesOf(conversation), [
      FIRST,
      ['COMMIT', 'BEGIN', READ],
      ['COMMIT', 'BEGIN', READ, READ, 'COMMIT']
    ])
    await ended()
  })

  await t.test('the first statement of those who wait', async t => {
    const { conversation, db, engine } = await openProxied(t, postgres, ONE)
    const reading = db.transaction(tx => tx.query(READ)).then(() => db.end())
    const other = requestOf(engine)
    const third = requestOf(engine)
    await Promise.all([
      other.transaction(tx => tx.query(READ)).then(() => other.end()),
      third.query(insert(1)).then(() => third.end()),
      reading
    ])
    t.same(exchangesOf(conversation), [
      FIRST,
      ['COMMIT', 'BEGIN', READ],
      ['COMMIT', insert(1), 'evidence']
    ])
  })

  await t.test('not a text of several statements, which it goes before', async t => {
    const { conversation, db, ended } = await openAwaited(t)
    await db.transaction(tx => tx.query(READ))
    await db.query(`${insert(1)}; ${insert(2)}`)
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT'], [`${insert(1)}; ${insert(2)}`]])
    t.same(await ids(), [1, 2])
    await ended()
  })

  await t.test('by itself, if nothing does', async t => {
    const { conversation, db, ended } = await openAwaited(t)
    await db.transaction(tx => tx.query(READ))
    await until(() => exchangesOf(conversation).length === 2)
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
    await ended()
  })

  await t.test('nor does it stay open for one who has left', async t => {
    const { conversation, db, engine } = await openProxied(t, postgres, ONE)
    const controller = new AbortController()
    const waiting = engine.connect({ signal: controller.signal }).catch(error => error)
    await db.transaction(tx => tx.query(READ))
    controller.abort(new Error('gone'))
    db.end()
    t.match(await waiting, { message: 'gone' })
    await until(() => engine.status().idle === 1)
    t.same(exchangesOf(conversation), [FIRST, ['COMMIT']])
  })

  await t.test('without the time limit of the request it is from', async t => {
    const protocol = await startProtocolProxy(t, postgres)
    const url = protocol.proxy.url(postgres.url)
    const app = await buildApp(t, { url, engineOptions: ONE }, scope => {
      const limited = { config: { db: { timeout: 30 } } }
      scope.get('/read', limited, async ({ db }) => {
        return (await db.transaction(tx => tx.query(READ))).rows
      })
      scope.get('/write', async ({ db }) => (await db.query(insert(1))).rowCount)
    })
    const replies = await Promise.all([app.inject('/read'), app.inject('/write')])
    t.same(
      replies.map(({ statusCode }) => statusCode),
      [200, 200]
    )
    const last = exchangesOf(protocol.conversations.at(-1)!).at(-1)
    t.same(last, ['SET LOCAL statement_timeout = 0', 'COMMIT', insert(1), 'evidence'])
  })
})

t.test('nothing that others send on the client is part of what has ended', async t => {
  for (const isAwaited of [true, false]) {
    await t.test(isAwaited ? 'awaited' : 'not awaited', async t => {
      const { db, ...opened } = await (isAwaited ? openAwaited(t) : openProxied(t, postgres))
      const options = { readOnly: true, isolationLevel: 'REPEATABLE READ' } as const
      await db.transaction(tx => tx.query(READ), options)
      // What is refused before it is written is in the way for a moment.
      const refused = db.query('select $1::text', [CIRCULAR]).catch(error => error)
      const client = await db.client()
      t.equal(client.getTransactionStatus(), 'I')
      await client.query(insert(1))
      t.match(await refused, { name: 'TypeError' })
      t.same(await ids(), [1])
      await postgres.admin('truncate notes, audit')
      if ('ended' in opened) await (opened.ended as () => Promise<void>)()
    })
  }
})

t.test('an error behind it is the next statement’s own', async t => {
  const { conversation, db, ended } = await openAwaited(t)
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
  await ended()
})

t.test('an error of its own, which no read has, is not that of what went with it', async t => {
  const texts = ['select 1 x', `insert into notes values (1) returning 1 x`]
  for (const text of texts) {
    await t.test(text, async t => {
      const { db, ended } = await openAwaited(t)
      // A view that writes does not look like one.
      t.same((await db.transaction(tx => tx.query('select n from unsound'))).rows, [{ n: 42 }])
      t.same((await db.query(text)).rows, [{ x: 1 }])
      t.same(await postgres.admin('select * from audit'), [])
      t.same(
        (await db.transaction(tx => tx.query(text.replace('(1)', '(2)')))).rows,
        [{ x: 1 }],
        'nor is what it has undone part of the next'
      )
      await ended()
      await postgres.admin('truncate notes, audit')
    })
  }
})

t.test('nor that of what was started together with that', async t => {
  const { db, ended } = await openAwaited(t)
  await db.transaction(tx => tx.query('select n from unsound'))
  const results = await Promise.all([insert(1), READ, insert(2), READ].map(text => db.query(text)))
  t.same(
    results.map(({ command, rows }) => rows[0] ?? command),
    ['INSERT', { n: 1 }, 'INSERT', { n: 2 }]
  )
  await ended()
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
      await postgres.admin('truncate notes, audit')
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

t.test('a client that is closed has committed before', async t => {
  const { db, ended } = await openAwaited(t)
  await db.transaction(tx => tx.query('select n from seen'))
  db.invalidate(undefined, { soft: true })
  await ended()
  while ((await postgres.admin('select * from audit')).length === 0);
})

t.test('COMMIT is waited for where something depends on it', async t => {
  const readOnly = { readOnly: true }
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
      db.transaction(tx => tx.query('select pg_advisory_xact_lock(1)'), readOnly),
    'a write in READ ONLY': db =>
      db.transaction(
        tx => tx.query('with x as (insert into pg_temp.mine values (1) returning 1) table x'),
        readOnly
      ),
    'a write of a batch in READ ONLY': db =>
      db.transaction(
        tx =>
          tx.batch([READ, 'with x as (insert into pg_temp.mine values (1) returning 1) table x']),
        readOnly
      ),
    'a row lock': db => db.transaction(tx => tx.query('select 1 from notes for share')),
    'a setting by a function': db =>
      db.transaction(tx => tx.query("select set_config('my.own', 'x', true)")),
    'several statements': db => db.transaction(tx => tx.query('select 1; select 2')),
    'a savepoint': db => db.transaction(tx => tx.transaction(nested => nested.query(READ))),
    'a setting': db => db.transaction(tx => tx.query("set local work_mem = '1234kB'")),
    SERIALIZABLE: db =>
      db.transaction(tx => tx.query(READ), { isolationLevel: 'SERIALIZABLE', ...readOnly })
  }
  for (const [name, work] of Object.entries(texts)) {
    await t.test(name, async t => {
      const { conversation, db, ended } = await openAwaited(t)
      await db.query('create temporary table mine (id int)')
      await work(db)
      t.equal(conversation.dialogue.at(-1)?.name, 'ReadyForQuery')
      t.same(exchangesOf(conversation).at(-1), ['COMMIT'])
      await ended()
    })
  }

  const isWaitedFor = async (t: Test, { conversation, db }: Opened) => {
    await db.transaction(tx => tx.query(READ))
    t.same(exchangesOf(conversation).at(-1), ['COMMIT'])
    t.equal(conversation.dialogue.at(-1)?.name, 'ReadyForQuery')
  }

  /** It is given back, and somebody else has it. */
  const lentOn = async (t: Test, opened: Opened) => {
    await opened.ended()
    const db = requestOf(opened.engine)
    await db.query('select 1')
    return { ...opened, db, ended: waiterFor(t, db, opened.engine) }
  }

  await t.test('a session whose transactions are SERIALIZABLE', async t => {
    const opened = await openAwaited(t, { isolation_level: 'SERIALIZABLE' })
    await isWaitedFor(t, opened)
    await isWaitedFor(t, opened)
    const { conversation, db, ended } = opened
    await db.transaction(tx => tx.query(READ), { isolationLevel: 'REPEATABLE READ' })
    await db.query(READ)
    t.same(exchangesOf(conversation).at(-1), ['COMMIT', READ], 'but not one that is not')
    await ended()
  })

  await t.test('because the server says so', async t => {
    const options = '-c default_transaction_isolation=serializable'
    const opened = await openAwaited(t, { connect_args: { options } })
    await isWaitedFor(t, opened)
    await opened.ended()
  })

  await t.test('because a statement has said so since', async t => {
    const opened = await openAwaited(t)
    await opened.db.transaction(tx => tx.query(READ))
    await opened.db.query("set default_transaction_isolation = 'serializable'")
    await isWaitedFor(t, opened)
    await opened.ended()
  })

  await t.test('because somebody has said so on the client', async t => {
    const opened = await openAwaited(t)
    const client = await opened.db.client()
    await opened.db.transaction(tx => tx.query(READ))
    await client.query("set default_transaction_isolation = 'serializable'")
    const next = await lentOn(t, opened)
    await isWaitedFor(t, next)
    await next.ended()
  })

  await t.test('because it is so again, when all that was set is reset', async t => {
    const opened = await openAwaited(t, {
      isolation_level: 'SERIALIZABLE',
      pool_reset_on_return: 'discard'
    })
    await opened.db.query("set default_transaction_isolation = 'read committed'")
    await opened.db.transaction(tx => tx.query(READ))
    const next = await lentOn(t, opened)
    await isWaitedFor(t, next)
    await next.ended()
    t.equal(next.engine.status().counters.connects, 1, 'on the same client')
  })

  for (const event of ['checkout', 'reset', 'checkin', 'detach', 'soft_invalidate'] as const) {
    await t.test(`a listener of ${event}, who may use the client`, async t => {
      const opened = await openAwaited(t)
      opened.engine.on(event, () => {})
      await isWaitedFor(t, opened)
      await opened.ended()
    })
  }

  await t.test('a client that is in other hands', async t => {
    const opened = await openAwaited(t)
    await opened.db.client()
    await isWaitedFor(t, opened)
    await opened.ended()
  })
})
