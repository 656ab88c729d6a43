import type { FastifyInstance, FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp, named } from './fixtures/app.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int primary key)')
t.beforeEach(() => postgres.admin('truncate entries'))

const ROUTE = { config: { db: { transaction: true } } }
const insert = (id: number) => `insert into entries values (${id})`
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from entries order by id')).map(({ id }) => id)

/** The app, and the texts it sends to the server, but for those about transaction ids. */
async function observed(t: Test, routes: (app: FastifyInstance) => void) {
  const proxy = await startProxy(t, postgres)
  const texts = recordStatements(proxy)
  const app = await buildApp(t, { url: proxy.url(postgres.url) }, routes)
  return { app, sent: () => texts.filter(text => !text.includes('pg_catalog')) }
}

t.test('BEGIN goes with the first statement, COMMIT with the reply', async t => {
  const { app, sent } = await observed(t, app => {
    app.post('/', ROUTE, async (request, reply) => {
      await request.db.query(insert(1))
      t.ok(request.db.inTransaction)
      await Promise.all([request.db.query(insert(2)), request.db.query(insert(3))])
      t.same(await ids(), [], 'nobody else sees it yet')
      return reply.code(201).header('location', '/1').send({ id: 1 })
    })
  })
  const response = await app.inject({ method: 'POST', url: '/' })
  t.equal(response.statusCode, 201)
  t.equal(response.headers.location, '/1')
  t.same(await ids(), [1, 2, 3])
  t.same(sent(), ['BEGIN', insert(1), insert(2), insert(3), 'COMMIT'])
  t.match(app.db.status(), { checkedOut: 0, counters: { checkouts: 1 } })
})

t.test('no byte of the reply leaves before COMMIT is answered', async t => {
  await postgres.admin('create table gated (id int)')
  await postgres.admin(`create function gate() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(1); return null; end $$`)
  await postgres.admin(`create constraint trigger gate after insert on gated
    deferrable initially deferred for each row execute function gate()`)
  let isSent = () => true
  const app = await buildApp(t, { url: named(postgres.url, 'gated') }, app => {
    app.post('/', ROUTE, async (request, reply) => {
      isSent = () => reply.raw.headersSent
      await request.db.query('insert into gated values (1)')
      return { ok: true }
    })
  })
  await postgres.admin('select pg_advisory_lock(1)')
  const answering = app.inject({ method: 'POST', url: '/' })
  await postgres.untilBackends({
    applicationName: 'gated',
    where: "query = 'COMMIT' and wait_event_type = 'Lock'"
  })
  t.equal(isSent(), false)
  await postgres.admin('select pg_advisory_unlock(1)')
  t.equal((await answering).statusCode, 200)
})

t.test('a route that uses nothing sends nothing', async t => {
  const { app, sent } = await observed(t, app => {
    app.post('/untouched', ROUTE, async () => ({ ok: true }))
    app.post('/looked-at', ROUTE, async request => ({ is: request.db.inTransaction }))
    app.post('/thrown', ROUTE, async request => {
      throw new Error(String(request.db.inTransaction))
    })
  })
  for (const [url, status] of [
    ['/untouched', 200],
    ['/looked-at', 200],
    ['/thrown', 500]
  ] as const) {
    t.equal((await app.inject({ method: 'POST', url })).statusCode, status)
  }
  t.same(sent(), [])
  t.match(app.db.status(), { size: 0, counters: { checkouts: 0 } })
})

t.test('the options of the route’s transaction are those of its BEGIN', async t => {
  const transaction = { isolationLevel: 'SERIALIZABLE', readOnly: true, deferrable: true } as const
  const { app, sent } = await observed(t, app => {
    app.get('/', { config: { db: { transaction } } }, async request => {
      return (await request.db.query('show transaction_isolation')).rows
    })
  })
  t.same((await app.inject('/')).json(), [{ transaction_isolation: 'serializable' }])
  t.equal(sent()[0], 'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE')
})

const FAILURES: Record<string, (reply: FastifyReply) => unknown> = {
  thrown: () => {
    throw new Error('thrown')
  },
  swallowed: () => {
    throw new Error('swallowed')
  },
  conflict: reply => reply.code(409).send({ taken: true }),
  sent: reply => reply.code(200).send(new Error('sent')),
  unserializable: () => ({ big: 1n })
}

t.test('an error reply is rolled back, however it came about', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'error') }, app => {
    app.setErrorHandler((error, _request, reply) => {
      const isSwallowed = error instanceof Error && error.message === 'swallowed'
      return reply.code(isSwallowed ? 200 : 500).send({ failed: true })
    })
    for (const [index, [name, answer]] of Object.entries(FAILURES).entries()) {
      app.post(`/${name}`, ROUTE, async (request, reply) => {
        await request.db.query(insert(index))
        return answer(reply)
      })
    }
    const onSend = () => Promise.reject(new Error('of a hook'))
    app.post('/hook', { ...ROUTE, onSend }, async ({ db }) => (await db.query(insert(99))).rowCount)
  })
  for (const name of [...Object.keys(FAILURES), 'hook']) {
    const { statusCode } = await app.inject({ method: 'POST', url: `/${name}` })
    t.equal(statusCode, { swallowed: 200, conflict: 409 }[name] ?? 500, name)
    t.same(await ids(), [], name)
    await until(() => app.db.status().checkedOut === 0)
  }
  t.match(await postgres.backends({ applicationName: 'error' }), [{ state: 'idle' }])
})

t.test('what other hooks do is part of it', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.addHook('preHandler', async request => {
      await request.db.query(insert(1))
    })
    app.addHook('onSend', async (request, reply) => {
      if (reply.statusCode < 400) await request.db.query(insert(3))
    })
    app.post('/:id', ROUTE, async request => {
      await request.db.query(insert(Number((request.params as { id: string }).id)))
      return { ok: true }
    })
  })
  t.equal((await app.inject({ method: 'POST', url: '/1' })).statusCode, 500)
  t.same(await ids(), [])
  t.equal((await app.inject({ method: 'POST', url: '/2' })).statusCode, 200)
  t.same(await ids(), [1, 2, 3])
})

t.test('transaction() in it is a savepoint, and takes no options', async t => {
  const { app, sent } = await observed(t, app => {
    app.post('/', ROUTE, async ({ db }) => {
      await db.query(insert(1))
      await t.rejects(
        db.transaction(async inner => {
          await inner.query(insert(2))
          throw new Error('undone')
        }),
        { message: 'undone' }
      )
      await db.transaction(inner => inner.transaction(deeper => deeper.query(insert(3))))
      const options = { readOnly: true }
      await t.rejects(
        db.transaction(async () => t.fail('run'), options),
        {
          code: 'FST_DB_TRANSACTION_STATE'
        }
      )
      return { ok: true }
    })
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
  t.same(await ids(), [1, 3])
  t.same(
    sent().filter(text => /^(BEGIN|COMMIT|ROLLBACK$)/.test(text)),
    ['BEGIN', 'COMMIT']
  )
})

t.test('nobody but the route begins or ends it, or gives its client back', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async ({ db }) => {
      await db.query(insert(1))
      for (const text of [
        'commit',
        'rollback',
        'begin',
        'savepoint a',
        'prepare transaction $$a$$'
      ])
        await t.rejects(db.query(text), { code: 'FST_DB_TRANSACTION_STATE' }, text)
      t.throws(() => db.release(), { code: 'FST_DB_TRANSACTION_STATE' })
      return { ok: true }
    })
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
  t.same(await ids(), [1])
})

t.test(
  'a swallowed error has the server answer COMMIT with ROLLBACK, and that is a 500',
  async t => {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.post('/', ROUTE, async ({ db }, reply) => {
        await db.query(insert(1))
        await t.rejects(db.query(insert(1)), { code: '23505' })
        await t.rejects(db.query(insert(2)), { code: '25P02' })
        return reply.code(201).header('location', '/1').send({ id: 1 })
      })
    })
    const response = await app.inject({ method: 'POST', url: '/' })
    t.equal(response.statusCode, 500)
    t.equal(response.json().code, 'FST_DB_ROLLED_BACK')
    t.match(response.headers, { location: undefined, 'retry-after': undefined })
    t.same(await ids(), [])
    t.equal(app.db.status().checkedOut, 0)
  }
)

t.test('a statement that comes after the reply is refused, and not run by itself', async t => {
  let late: Promise<unknown> = Promise.resolve()
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async ({ db }, reply) => {
      await db.query(insert(1))
      reply.raw.once('finish', () => {
        late = t.rejects(db.query(insert(2)), { code: 'FST_DB_CONNECTION_CLOSED' })
      })
      return { ok: true }
    })
  })
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 200)
  await late
  t.same(await ids(), [1])
})
