import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { EngineEvents, EventName } from '../src/events.js'
import { buildApp } from './fixtures/app.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')

/** Every event, but for those of an outage; the compiler says which one is missing. */
const EVENTS: Record<Exclude<EventName, 'down' | 'up'>, true> = {
  first_connect: true,
  connect: true,
  checkout: true,
  reset: true,
  checkin: true,
  soft_invalidate: true,
  invalidate: true,
  generation: true,
  detach: true,
  close: true,
  replay: true,
  handle_error: true
}

type Fail = () => Promise<never>

/** How a listener fails: at once, or later if it is waited for. */
const WAYS: Record<string, Fail> = {
  throws: () => {
    throw new Error('of the listener')
  },
  rejects: async () => {
    await null
    throw new Error('of the listener')
  }
}

const KILL_SELF = 'select pg_terminate_backend(pg_backend_pid())'

/** Requests that between them come by every hook point. */
function addRoutes(app: FastifyInstance): void {
  app.get('/read', async ({ db }) => (await db.query('select 1 x')).rows)
  app.get('/open', async ({ db }) => {
    await db.query('begin')
    return (await db.query('insert into notes values (1)')).rowCount
  })
  app.get('/soft', async ({ db }) => {
    await db.query('select 1')
    db.invalidate(undefined, { soft: true })
    return {}
  })
  app.get('/detach', async ({ db }) => {
    await db.detach()
    return {}
  })
  app.get('/fail', ({ db }) => db.query('select 1/0'))
  app.get('/die', ({ db }) => db.query(KILL_SELF))
  app.get('/replay', ({ db }) =>
    db.transaction(tx => tx.query("do $$ begin raise sqlstate '40001'; end $$"), { retries: 1 })
  )
}

const ROUTES = ['/read', '/open', '/soft', '/detach', '/fail', '/die', '/replay', '/read']

/** What a request was answered with, as its client sees it. */
async function answersOf(app: FastifyInstance): Promise<string[]> {
  const answers: string[] = []
  for (const url of ROUTES) {
    const response = await app.inject(url)
    const { code } = response.json()
    answers.push(`${response.statusCode} ${response.statusCode === 200 ? '' : code}`)
    if (url === '/soft') app.db.invalidate()
  }
  return answers
}

for (const [way, fail] of Object.entries(WAYS)) {
  t.test(`P43 P68 X12 X13 X14: a listener that ${way} loses no slot, at any event`, async t => {
    for (const event of Object.keys(EVENTS) as (keyof typeof EVENTS)[]) {
      const app = await buildApp(
        t,
        { url: postgres.url, engineOptions: { pool_size: 1, max_overflow: 0 } },
        addRoutes
      )
      let calls = 0
      const remove = app.db.on(event, (_payload: EngineEvents[EventName]) => {
        calls += 1
        return fail()
      })
      const answers = await answersOf(app)
      t.ok(calls > 0, `${event} is come by`)
      const isCoded = (answer: string) => /^(200 |50[03] (FST_DB_\w+|[0-9A-Z]{5})$)/.test(answer)
      // What a listener to errors throws is what the application gets: there it is not for us to code it.
      const uncoded = answers.filter(answer => !isCoded(answer) && event !== 'handle_error')
      t.same(uncoded, [], `${event}: ${answers}`)
      remove()
      t.equal((await app.inject('/read')).statusCode, 200, `${event}: the next request works`)
      await until(() => app.db.status().checkedOut === 0)
      t.match(app.db.status(), { size: 1, idle: 1, waiting: 0, connecting: 0 }, event)
    }
  })
}

t.test(
  'X12 X43: nor do listeners that fail when the server goes and when it comes back',
  async t => {
    const proxy = await startProxy(t, postgres)
    const url = proxy.url(postgres.url)
    const app = await buildApp(t, { url }, addRoutes)
    let calls = 0
    for (const fail of Object.values(WAYS)) {
      for (const event of ['down', 'up'] as const) {
        app.db.on(event, () => {
          calls += 1
          return fail()
        })
      }
    }
    proxy.refuse()
    const waiting = app.inject('/read')
    await until(() => app.db.status().state === 'down')
    await proxy.accept()
    t.equal((await waiting).statusCode, 200)
    t.equal(calls, 4)
    t.match(app.db.status(), { state: 'up', checkedOut: 0, waiting: 0 })
  }
)

t.test('X12: an isDisconnect hook that throws loses no slot either', async t => {
  const app = await buildApp(
    t,
    {
      url: postgres.url,
      engineOptions: { pool_size: 1, max_overflow: 0 },
      isDisconnect: () => {
        throw new Error('of the hook')
      }
    },
    addRoutes
  )
  t.match(await answersOf(app), [
    '200 ',
    '200 ',
    '200 ',
    '200 ',
    '500 22012',
    /^503 FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN)$/,
    '503 FST_DB_CONTENTION',
    '200 '
  ])
  t.match(app.db.status(), { size: 1, idle: 1, checkedOut: 0, waiting: 0 })
})
