import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { assertAnswered, type Expected, type Failing } from '../fixtures/http-ways.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table secrets (id int primary key)')
await postgres.admin('insert into secrets values (1), (2)')
const options = { url: postgres.url }
const holders = await buildApp(t, { url: named(postgres.url, 'holder') })

const CONTENTION: Expected = {
  code: 'FST_DB_CONTENTION',
  status: 503,
  outcome: 'rolled_back',
  retryAfter: '1'
}

t.test('a lock that is not to be had (55P03)', async t => {
  const holder = await holdLock()
  const nowait: Failing['handler'] = ({ db }) =>
    db.query('select * from secrets where id = 1 for update nowait')
  await assertAnswered(t, { options, handler: nowait }, CONTENTION)
  const applied: Failing['handler'] = async ({ db }) => {
    await db.query('update secrets set id = 2 where id = 2')
    await db.query('select * from secrets where id = 1 for update nowait')
  }
  const forfeited = { code: CONTENTION.code, status: 503, outcome: 'applied' }
  await assertAnswered(t, { options, handler: applied }, forfeited)
  const idempotent = { ...forfeited, retryAfter: '1' }
  await assertAnswered(t, { options, config: { idempotent: true }, handler: applied }, idempotent)
  await assertAnswered(t, { options, config: { transaction: true }, handler: applied }, CONTENTION)
  await holder.end()
})

t.test('one that fails beside another that succeeds does not invite to repeat that', async t => {
  const holder = await holdLock()
  const both: Failing['handler'] = ({ db }) =>
    Promise.all([
      db.query('select * from secrets where id = 1 for update nowait'),
      db.query('update secrets set id = 2 where id = 2')
    ])
  const app = await buildApp(t, options, app => {
    app.post('/', request => both(request, app))
  })
  const { headers, json, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.match({ statusCode, code: json().code }, { statusCode: 503, code: CONTENTION.code })
  t.equal(headers['retry-after'], undefined)
  await holder.end()
})

t.test('a serialization failure (40001)', async t => {
  const isolationLevel = 'REPEATABLE READ'
  const update = 'update secrets set id = 1 where id = 1'
  const collide = async ({ db }: FastifyRequest) =>
    db.transaction(
      async tx => {
        await tx.query('select * from secrets')
        await postgres.admin(update)
        await tx.query(update)
      },
      { isolationLevel }
    )
  await assertAnswered(t, { options, handler: collide }, CONTENTION)
})

t.test('a deadlock (40P01)', async t => {
  const lock = (id: number) => `select * from secrets where id = ${id} for update`
  const deadlock: Failing['handler'] = async ({ db }) => {
    await db.transaction(async tx => {
      await tx.query("set local deadlock_timeout = '1ms'")
      await tx.query(lock(2))
      const holder = await holdLock()
      const blocked = holder.query(lock(2))
      await postgres.untilBackends({ applicationName: 'holder', where: "wait_event_type = 'Lock'" })
      const [failure] = await Promise.allSettled([tx.query(lock(1)), blocked])
      await holder.end()
      if (failure.status === 'rejected') throw failure.reason
    })
  }
  await assertAnswered(t, { options, handler: deadlock }, CONTENTION)
})

t.test(
  'a write where the server takes none (25006); to replace what never took any would change nothing',
  async t => {
    await postgres.admin(`create role reader login superuser password 'reader'`)
    await postgres.admin('alter role reader set default_transaction_read_only = on')
    const url = new URL(postgres.url)
    url.username = 'reader'
    url.password = 'reader'
    const expected: Expected = {
      code: 'FST_DB_READ_ONLY',
      status: 503,
      outcome: 'rolled_back',
      retryAfter: '1'
    }
    const write: Failing['handler'] = async ({ db }, app) => {
      const { generation } = app.db.status()
      try {
        await db.query('update secrets set id = 2 where id = 2')
      } finally {
        t.equal(app.db.status().generation, generation)
      }
    }
    await assertAnswered(t, { options: { url: url.href }, handler: write }, expected)
  }
)

t.test('it refuses the password, or has no such database or user', async t => {
  const expected = { code: 'FST_DB_MISCONFIGURED', status: 500, outcome: 'none' }
  const urls = [
    ['password', 'xyzzy'],
    ['pathname', 'xyzzy'],
    ['username', 'hunter']
  ] as const
  for (const [part, value] of urls) {
    const url = new URL(postgres.url)
    url[part] = value
    const handler: Failing['handler'] = ({ db }) => db.query('select * from secrets')
    await assertAnswered(t, { options: { url: url.href }, handler }, expected)
  }
})

t.test('an error of the statement’s own passes as it is, with nothing of ours', async t => {
  const texts: Record<string, string> = {
    '22012': 'select 1 / 0',
    '23505': 'insert into secrets values (1)',
    '42P01': 'select * from nowhere',
    '42601': 'selec',
    P0001: `do $$ begin raise 'mine'; end $$`
  }
  for (const problemJson of [false, true]) {
    const app = await buildApp(t, { ...options, problemJson }, app => {
      app.post('/:code', ({ db, params }) => db.query(texts[(params as { code: string }).code]!))
    })
    for (const code of Object.keys(texts)) {
      const { headers, json, statusCode } = await app.inject({ method: 'POST', url: `/${code}` })
      t.match({ statusCode, code: json().code }, { statusCode: 500, code })
      t.match(headers, { 'retry-after': undefined, 'cache-control': undefined })
      t.equal(headers['content-type'], 'application/json; charset=utf-8')
    }
  }
})

t.test(
  'so does a write in a transaction that was to be READ ONLY, and costs no client',
  async t => {
    const app = await buildApp(t, options, app => {
      const hidden = 'with w as (delete from secrets returning 1) select * from w'
      app.post('/route', { config: { db: { readOnly: true } } }, ({ db }) => db.query(hidden))
      app.post('/statement', ({ db }) => db.query({ text: hidden, readOnly: true }))
      app.post('/transaction', ({ db }) =>
        db.transaction(tx => tx.query(hidden), { readOnly: true })
      )
      app.post('/by-hand', async ({ db }) => {
        await db.query('begin read only')
        await db.query(hidden)
      })
    })
    for (const url of ['/route', '/statement', '/transaction']) {
      const { headers, json, statusCode } = await app.inject({ method: 'POST', url })
      t.match({ statusCode, code: json().code }, { statusCode: 500, code: '25006' }, url)
      t.equal(headers['retry-after'], undefined)
      t.equal(app.db.status().generation, 0, url)
    }
    t.equal((await postgres.admin('select from secrets')).length, 2)
  }
)

/** A session that holds a row until its end, and is never the victim of a deadlock. */
async function holdLock() {
  const connection = await holders.db.connect()
  await connection.query("set deadlock_timeout = '1h'")
  await connection.query('begin')
  await connection.query('select * from secrets where id = 1 for update')
  return {
    query: (text: string) => connection.query(text),
    async end() {
      await connection.query('rollback')
      connection.release()
    }
  }
}

t.test('so does one in a transaction that the application began READ ONLY itself', async t => {
  const begins = ['begin read only', 'start transaction isolation level serializable, read only']
  for (const begin of begins) {
    const app = await buildApp(t, options, app => {
      app.post('/', async ({ db }) => {
        await db.query(begin)
        await db.query('delete from secrets')
      })
    })
    const { headers, json, statusCode } = await app.inject({ method: 'POST', url: '/' })
    t.match({ statusCode, code: json().code }, { statusCode: 500, code: '25006' })
    t.equal(headers['retry-after'], undefined)
    t.equal(app.db.status().generation, 0)
  }
})
