import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create role somebody')
await postgres.admin('create sequence numbers')

/** One client for everybody, so that whatever a request leaves behind the next one would find. */
const ONE = { pool_size: 1, max_overflow: 0 }

interface Kind {
  readonly plant: readonly string[]
  /** A question whose answer tells whether it is there. */
  readonly ask: string
}

const KINDS: Record<string, Kind> = {
  'an open transaction': {
    plant: ['begin', "set local my.own = 'x'"],
    ask: "select now() = statement_timestamp() alone, coalesce(current_setting('my.own', true), '') own"
  },
  'a failed transaction': { plant: ['begin', 'select 1/0'], ask: 'select 1 works' },
  SET: { plant: ["set work_mem = '1234kB'"], ask: 'show work_mem' },
  'a setting of nobody’s': {
    plant: ["set my.own = 'x'"],
    ask: "select coalesce(current_setting('my.own', true), '') own"
  },
  'SET ROLE': { plant: ['set role somebody'], ask: 'select current_user' },
  'SET SESSION AUTHORIZATION': {
    plant: ['set session authorization somebody'],
    ask: 'select session_user'
  },
  set_config: {
    plant: ["select set_config('search_path', 'nowhere', false)"],
    ask: 'show search_path'
  },
  'a default of transactions': {
    plant: ['set session characteristics as transaction read only'],
    ask: 'show default_transaction_read_only'
  },
  'a temporary table': {
    plant: ['create temporary table planted (a int)'],
    ask: "select to_regclass('pg_temp.planted') planted"
  },
  LISTEN: { plant: ['listen news'], ask: 'select count(*)::int from pg_listening_channels()' },
  'an advisory lock': {
    plant: ['select pg_advisory_lock(1)'],
    ask: "select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
  },
  'a PREPARE of its own': {
    plant: ['prepare planted as select 1'],
    ask: "select count(*)::int from pg_prepared_statements where from_sql and name = 'planted'"
  },
  'a cursor': {
    plant: ['declare planted cursor with hold for select 1'],
    ask: "select count(*)::int from pg_cursors where name = 'planted'"
  },
  'what a sequence has given': { plant: ["select nextval('numbers')"], ask: 'select lastval()' }
}

/** What `rollback` leaves for the next request, as the README says. */
const LEFT_BY_ROLLBACK = Object.keys(KINDS).filter(kind => !/transaction$/.test(kind))

/** How a request comes by a client, and runs texts on it. */
const WAYS = {
  'req.db': { plant: '/plant' },
  'req.db.client()': { plant: '/client' },
  'app.db.pool': { plant: '/pool' },
  'a text of several statements': { plant: '/script' }
} as const

function addRoutes(app: FastifyInstance): void {
  interface Target {
    query(text: string): Promise<unknown>
  }
  const plant = async (target: Target, kind: string) => {
    for (const text of KINDS[kind]?.plant ?? []) await target.query(text).catch(() => {})
    return {}
  }
  type Query = { Querystring: { kind: string } }
  app.get<Query>('/plant', async ({ db, query }) => plant(db, query.kind))
  app.get<Query>('/client', async ({ db, query }) => plant(await db.client(), query.kind))
  app.get<Query>('/pool', async ({ query }) => {
    const client = await app.db.pool.connect()
    return plant(client, query.kind).finally(() => client.release())
  })
  app.get<Query>('/script', async ({ db, query }) => {
    await db.query((KINDS[query.kind]?.plant ?? []).join('; ')).catch(() => {})
    return {}
  })
  app.get<Query>('/ask', async ({ db, query }) => {
    const { rows } = await db.query(KINDS[query.kind]?.ask ?? '')
    return { pid: Reflect.get(await db.client(), 'processID'), rows }
  })
}

async function ask(app: FastifyInstance, kind: string) {
  const response = await app.inject({ url: '/ask', query: { kind } })
  const { pid, ...answer } = response.json()
  return { pid, answer: { status: response.statusCode, ...answer } }
}

for (const [way, { plant }] of Object.entries(WAYS)) {
  t.test(`under discard the next request sees nothing that ${way} has left`, async t => {
    for (const kind of Object.keys(KINDS)) {
      const engineOptions = { ...ONE, pool_reset_on_return: 'discard' } as const
      const app = await buildApp(t, { url: postgres.url, engineOptions }, addRoutes)
      const before = await ask(app, kind)
      await app.inject({ url: plant, query: { kind } })
      const after = await ask(app, kind)
      t.same(after.answer, before.answer, kind)
      if (before.pid) t.equal(after.pid, before.pid, `${kind}: on the very same session`)
      await app.close()
    }
  })
}

t.test('under rollback transactions end, and the rest is there: the README says so', async t => {
  const app = await buildApp(t, { url: postgres.url, engineOptions: ONE }, addRoutes)
  const left: string[] = []
  for (const kind of Object.keys(KINDS)) {
    const before = await ask(app, kind)
    await app.inject({ url: '/plant', query: { kind } })
    const after = await ask(app, kind)
    if (JSON.stringify(after.answer) !== JSON.stringify(before.answer)) left.push(kind)
    app.db.dispose()
  }
  t.same(left, LEFT_BY_ROLLBACK)
})

t.test('requests at the same time never share a client, and a late one gets none', async t => {
  const late: Promise<unknown>[] = []
  const running = new Set<number>()
  const engineOptions = { pool_size: 3, max_overflow: 0 }
  const app = await buildApp(t, { url: postgres.url, engineOptions }, app => {
    app.get('/', async (request, reply) => {
      const pid = Number(Reflect.get(await request.db.client(), 'processID'))
      t.notOk(running.has(pid), 'nobody else has it')
      running.add(pid)
      const { rows } = await request.db.query('select pg_backend_pid() pid, pg_sleep(0.001)')
      t.equal(rows[0]?.pid, pid)
      reply.raw.once('close', () => {
        late.push(t.rejects(request.db.query('select 1'), { code: 'FST_DB_CONNECTION_CLOSED' }))
        late.push(t.rejects(request.db.client(), { code: 'FST_DB_CONNECTION_CLOSED' }))
      })
      running.delete(pid)
      return {}
    })
  })
  const replies = await Promise.all(Array.from({ length: 30 }, () => app.inject('/')))
  t.ok(replies.every(({ statusCode }) => statusCode === 200))
  await Promise.all(late)
  t.equal(late.length, 60)
  t.equal(app.db.status().checkedOut, 0)
})
