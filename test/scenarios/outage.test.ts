import pg from 'pg'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { addRoutes, lies, SCHEMA, startLoad } from '../fixtures/mixed-load.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t, { max_connections: '30' })
await postgres.admin(SCHEMA)

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
    t.same(await lies(postgres, load.answers), [])
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
