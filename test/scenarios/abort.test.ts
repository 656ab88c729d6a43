import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { ask, listen } from '../fixtures/http-client.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (text text)')
const ONE = { pool_size: 1, max_overflow: 0 }
const LOCK = 4711
const held = `pg_advisory_xact_lock(${LOCK})`

/** An app whose statements wait for a lock that the test holds, and what they are seen by. */
async function waitingApp(name: string, options: object = {}, config: object = {}) {
  const url = named(postgres.url, name)
  const app = await buildApp(t, { url, engineOptions: ONE, ...options }, app => {
    const read = async (request: { db: (typeof app)['db'] }) => {
      await request.db.query(`select ${held}`)
      return { read: true }
    }
    app.get('/read', { config }, request => read(request as never))
    app.post('/read', { config }, request => read(request as never))
    app.get('/sleep', { config }, async request => {
      await request.db.query('select 1 from notes right join (select pg_sleep(60)) x on true')
      return {}
    })
    app.post('/sleep', { config }, async request => {
      await request.db.query('select count(*), (select 1 from pg_sleep(60)) from notes')
      return {}
    })
    app.post('/write', { config }, async request => {
      await request.db.query(`insert into notes select '${name}' from ${held}`)
      return { wrote: true }
    })
    app.post('/transaction', { config }, async request => {
      return request.db.transaction(async tx => {
        await tx.query(`insert into notes values ('${name}')`)
        await tx.query(`select ${held}`)
        await tx.query(`insert into notes values ('${name}')`)
        return { wrote: true }
      })
    })
  })
  const port = await listen(app)
  const active = { applicationName: name, where: "wait_event in ('PgSleep', 'advisory')" }
  /** Asks, and leaves when the statement is seen to run. */
  const askAndLeave = async (method: string, path: string) => {
    let leave = () => {}
    const asked = ask(port, path, { method, onSent: leaving => (leave = leaving) })
    const settled = asked.catch(() => 'left')
    const [running] = await postgres.untilBackends(active)
    leave()
    await settled
    return running!.pid
  }
  const untilIdle = () => until(() => app.db.status().checkedOut === 0)
  const count = async () =>
    (await postgres.admin('select from notes where text = $1', [name])).length
  return { app, active, askAndLeave, count, port, untilIdle }
}

async function withLock(work: () => Promise<void>): Promise<void> {
  await postgres.admin('select pg_advisory_lock($1)', [LOCK])
  try {
    await work()
  } finally {
    await postgres.admin('select pg_advisory_unlock($1)', [LOCK])
  }
}

t.test(
  'a GET whose client leaves is cancelled on the server, and its client serves on',
  async t => {
    for (const onAbort of ['cancel-reads', 'finish'] as const) {
      const { app, askAndLeave, untilIdle } = await waitingApp(`get ${onAbort}`, { onAbort })
      const pid = await askAndLeave('GET', '/sleep')
      await untilIdle()
      const { rows } = await app.db.query('select pg_backend_pid() pid')
      t.same(rows, [{ pid }], 'the same session')
      t.match(app.db.status(), { size: 1, idle: 1, counters: { connects: 1 } })
    }
  }
)

t.test('a POST that writes finishes by default, and its transaction too', async t => {
  for (const path of ['/write', '/transaction']) {
    const { askAndLeave, count, untilIdle } = await waitingApp(`post ${path}`)
    await withLock(async () => {
      await askAndLeave('POST', path)
    })
    await untilIdle()
    t.equal(await count(), path === '/write' ? 1 : 2)
  }
})

t.test("under the policy 'cancel' nothing of it is left", async t => {
  for (const path of ['/write', '/transaction']) {
    const { askAndLeave, count, untilIdle } = await waitingApp(`cancel ${path}`, {
      onAbort: 'cancel'
    })
    await withLock(async () => {
      await askAndLeave('POST', path)
      await untilIdle()
    })
    t.equal(await count(), 0)
  }
})

t.test("under 'finish' a POST finishes whatever it does", async t => {
  const { app, askAndLeave, untilIdle } = await waitingApp('finish', { onAbort: 'finish' })
  await withLock(async () => {
    await askAndLeave('POST', '/read')
    t.equal(app.db.status().checkedOut, 1)
  })
  await untilIdle()
  t.match(app.db.status(), { size: 1, counters: { connects: 1 } })
})

t.test('what goes on is bounded', async t => {
  const engineOptions = { ...ONE, close_timeout: 0.05 }
  const { app, askAndLeave, count, untilIdle } = await waitingApp('bounded', { engineOptions })
  await withLock(async () => {
    await askAndLeave('POST', '/transaction')
    await untilIdle()
  })
  t.equal(app.db.status().size, 0, 'the client was closed')
  t.equal(await count(), 0)
})

t.test('design §8: the time limit of a route is a 503 that is never to be repeated', async t => {
  const ways = [
    { method: 'GET', config: { db: { timeout: 1, idempotent: true } } },
    { method: 'POST', config: { db: { timeout: 1, transaction: true } } },
    { method: 'GET', config: { db: { timeout: 1, readOnly: true } } }
  ]
  for (const [i, { method, config }] of ways.entries()) {
    const { app, port, untilIdle } = await waitingApp(`limit ${i}`, {}, config)
    const answer = await ask(port, '/sleep', { method })
    t.match(answer, { statusCode: 503, headers: { 'retry-after': undefined } })
    t.equal(JSON.parse(answer.body).code, 'FST_DB_DEADLINE')
    await untilIdle()
    t.match(app.db.status(), { size: 1, idle: 1, counters: { connects: 1 } })
  }
})
