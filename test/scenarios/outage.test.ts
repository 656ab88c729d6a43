import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t, { max_connections: '30' })
await postgres.admin('create table entries (id int)')

const WORKERS = 32
let ids = 0

interface Answer {
  readonly kind: 'read' | 'transaction' | 'insert'
  readonly id: number
  readonly status: number
  readonly code: string | undefined
  readonly mayRepeat: boolean
}

function addRoutes(app: FastifyInstance): void {
  app.get('/read', async ({ db }) => (await db.query('select count(*) from entries')).rows)
  app.post<{ Querystring: { id: string } }>('/transaction', async ({ db, query }) => {
    await db.transaction(
      async tx => {
        await tx.query('select count(*) from entries')
        await tx.query('insert into entries values ($1)', [query.id])
      },
      { retries: 5 }
    )
    return {}
  })
  app.post<{ Querystring: { id: string } }>('/insert', async ({ db, query }) => {
    await db.query('insert into entries values ($1)', [query.id])
    return {}
  })
}

/** Sends requests until it is told to stop; one in four writes by itself, one in four in a transaction. */
function startLoad(app: FastifyInstance) {
  const answers: Answer[] = []
  let isOver = false
  const worker = async () => {
    while (!isOver) {
      ids += 1
      const id = ids
      const kind = id % 4 === 0 ? 'insert' : id % 4 === 1 ? 'transaction' : 'read'
      const method = kind === 'read' ? 'GET' : 'POST'
      const response = await app.inject({ method, url: `/${kind}?id=${id}` })
      const { statusCode: status, headers } = response
      const mayRepeat = headers['retry-after'] !== undefined
      answers.push({ kind, id, status, code: response.json().code, mayRepeat })
    }
  }
  const workers = Promise.all(Array.from({ length: WORKERS }, worker))
  return {
    answers,
    async served(count: number) {
      const seen = answers.length
      await until(() => answers.length >= seen + count)
    },
    async stop() {
      isOver = true
      await workers
    }
  }
}

/** What was said of each write, against the rows that are there. */
async function lies(answers: readonly Answer[]): Promise<string[]> {
  const counts = new Map<number, number>()
  for (const { id } of await postgres.admin<{ id: number }>('select id from entries')) {
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  return answers.flatMap(({ id, kind, mayRepeat, status }) => {
    const rows = counts.get(id) ?? 0
    if (kind === 'read') return []
    if (rows > 1) return [`${kind} ${id} was done twice`]
    if (status === 200 && rows === 0) return [`${kind} ${id} was lost`]
    return mayRepeat && rows > 0 ? [`${kind} ${id} may be repeated, and is there`] : []
  })
}

for (const mode of ['fast', 'immediate'] as const) {
  t.test(`a restart (${mode}) under load is ridden through`, async t => {
    const app = await buildApp(t, { url: postgres.url }, addRoutes)
    const outages: { failures: number; durationMs: number }[] = []
    let before = 0
    app.db.on('down', () => {
      before = app.db.status().counters.connectFailures
    })
    app.db.on('up', ({ durationMs }) => {
      const failures = app.db.status().counters.connectFailures - before
      outages.push({ failures, durationMs })
    })
    const load = startLoad(app)
    for (let round = 0; round < 3; round += 1) {
      await load.served(200)
      await postgres.restart(mode)
    }
    await load.served(200)
    await load.stop()

    const failed = load.answers.filter(({ status }) => status !== 200)
    const count = (kind: string) => failed.filter(one => one.kind === kind).length
    t.comment(`${load.answers.length} requests; failed: ${count('insert')} inserts`)
    t.equal(count('read'), 0, 'no read sees it')
    const badly = failed.filter(({ code }) => !code?.startsWith('FST_DB_'))
    t.same(badly, [], 'what fails is coded')
    const told = failed.filter(({ kind, code }) => {
      return kind === 'transaction' && code !== 'FST_DB_OUTCOME_UNKNOWN'
    })
    t.same(told, [], 'a transaction with retries fails only where nobody can know')
    if (mode === 'fast') t.equal(count('transaction'), 0)
    t.same(await lies(load.answers), [])
    for (const { failures, durationMs } of outages) {
      t.ok(failures <= 1 + durationMs / 25, `${failures} connects in ${durationMs} ms`)
    }
    t.match(app.db.status(), { state: 'up', waiting: 0, checkedOut: 0 })
  })
}

t.test('a server without a place left is waited for, and costs no client', async t => {
  const engineOptions = { recovery_timeout: 1 }
  const app = await buildApp(t, { url: postgres.url, engineOptions }, addRoutes)
  const held: pg.Client[] = []
  const holdAll = async () => {
    for (;;) {
      const client = new pg.Client(postgres.url)
      client.on('error', () => {})
      await client.connect()
      held.push(client)
    }
  }
  await t.rejects(holdAll(), { code: '53300' })
  const refused = await app.inject('/read')
  t.match(refused, { statusCode: 503, headers: { 'retry-after': '1' } })
  t.equal(refused.json().code, 'FST_DB_UNAVAILABLE')
  t.match(app.db.status(), { state: 'up', generation: 0 })
  const waiting = app.inject('/read')
  await Promise.all(held.map(client => client.end()))
  t.equal((await waiting).statusCode, 200)
})

t.test(
  'with recovery_timeout 0 who needs a new client is told at once, and may repeat',
  async t => {
    const app = await buildApp(
      t,
      { url: postgres.url, engineOptions: { recovery_timeout: 0 } },
      addRoutes
    )
    t.equal((await app.inject('/read')).statusCode, 200)
    await postgres.stop()
    await app.inject('/read')
    const { connects } = app.db.status().counters
    const all = await Promise.all(
      Array.from({ length: 200 }, () => app.inject({ method: 'POST', url: '/insert?id=0' }))
    )
    for (const { statusCode, headers } of all) {
      if (statusCode !== 503 || headers['retry-after'] !== '1') t.fail(`answered ${statusCode}`)
    }
    t.ok(app.db.status().counters.connects - connects < 50, 'none of them connects')
    await postgres.start()
    await until(() => app.db.status().state === 'up')
    t.equal((await app.inject('/read')).statusCode, 200)
  }
)

t.test('app.close() during an outage ends, and so does what waits', async t => {
  const app = await buildApp(
    t,
    { url: postgres.url, engineOptions: { recovery_timeout: 60 } },
    addRoutes
  )
  await app.inject('/read')
  await postgres.stop()
  const waiting = app.inject('/read')
  await until(() => app.db.status().state === 'down')
  const held = app.db.ping()
  await t.rejects(held, { code: 'FST_DB_UNAVAILABLE' }, 'ping() answers, and waits for nobody')
  await app.close()
  t.equal((await waiting).statusCode, 503)
  t.equal(app.db.status().size, 0)
  await postgres.start()
})
