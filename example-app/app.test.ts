import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { build } from './app.js'
import { readConfig } from './config.js'
import { startEmbeddedPostgres } from './embedded-postgres.js'
import { createTables } from './tables.js'

const WAITS_FOR_A_LOCK = `wait_event_type = 'Lock'`

const postgres = await startEmbeddedPostgres()
t.teardown(() => postgres.remove())

t.test('an account can be created, read and listed', async t => {
  const app = await start(t)
  const created = await post(app, '/accounts', { owner: 'Ada', balance: '1250' })
  t.equal(created.statusCode, 201)
  const { location } = created.headers
  t.match((await app.inject(`${location}`)).json(), { owner: 'Ada', balance: '1250' })

  await post(app, '/accounts', { owner: 'Bob' })
  const first = (await app.inject('/accounts?limit=1')).json()
  const second = (await app.inject(`/accounts?limit=1&after=${first.next}`)).json()
  t.match([...first.accounts, ...second.accounts], [{ owner: 'Ada' }, { owner: 'Bob' }])
  t.equal((await app.inject(`/accounts?after=${second.next}`)).json().next, null)
})

t.test('a bad request is told what was expected', async t => {
  const app = await start(t)
  const reply = await post(app, '/accounts', { owner: '', balance: 12.5 })
  t.equal(reply.statusCode, 400)
  t.match(reply.json(), { code: 'INVALID_REQUEST', detail: /owner: .+; balance: expected whole/ })
  t.match((await app.inject('/accounts?limit=0')).json(), { status: 400, detail: /limit: / })
  t.match((await app.inject('/accounts/1000')).json(), { status: 404, code: 'NO_ACCOUNT' })
})

t.test('a transfer moves exact amounts, beyond what a JSON number holds', async t => {
  const app = await start(t)
  const [from, to] = await openAccounts(app, '1000000000000000')
  const id = randomUUID()
  const reply = await post(app, '/transfers', { id, from, to, amount: '999999999999999' })
  t.equal(reply.statusCode, 201)
  t.same((await app.inject(`/transfers/${id}`)).json(), reply.json())
  t.same(await balances(app, from, to), ['1', '1999999999999999'])
})

t.test('a transfer that cannot be made moves nothing', async t => {
  const app = await start(t)
  const [from, to] = await openAccounts(app, 100)
  const attempt = async (change: object) => {
    const content = { id: randomUUID(), from, to, amount: 1, ...change }
    return (await post(app, '/transfers', content)).json()
  }
  t.match(await attempt({ amount: 101 }), { status: 409, code: 'INSUFFICIENT_FUNDS' })
  t.match(await attempt({ to: 1_000_000 }), { status: 404, code: 'NO_ACCOUNT' })
  t.match(await attempt({ to: from }), { status: 400, detail: 'expected two different accounts' })
  t.match(await attempt({ amount: 0 }), { status: 400, detail: /more than 0/ })
  t.same(await balances(app, from, to), ['100', '100'])
})

t.test('a transfer sent twice is made once', async t => {
  const app = await start(t)
  const [from, to] = await openAccounts(app, 100)
  const content = { id: randomUUID(), from, to, amount: 30 }
  const replies = await Promise.all([1, 2, 3].map(() => post(app, '/transfers', content)))
  t.same(replies.map(reply => reply.statusCode).sort(), [200, 200, 201])
  t.same(await balances(app, from, to), ['70', '130'])
  t.match((await post(app, '/transfers', { ...content, amount: 1 })).json(), { code: 'ID_TAKEN' })
})

t.test('transfers in opposite directions do not deadlock', async t => {
  const app = await start(t)
  const [a, b] = await openAccounts(app, 100)
  const there = { from: a, to: b, amount: 1 }
  const back = { from: b, to: a, amount: 1 }
  const replies = await Promise.all(
    Array.from({ length: 60 }, (_, index) =>
      post(app, '/transfers', { id: randomUUID(), ...(index % 2 ? there : back) })
    )
  )
  t.ok(replies.every(reply => reply.statusCode === 201))
  t.same(await balances(app, a, b), ['100', '100'])
})

t.test('connections killed while idle are not noticed by any request', async t => {
  const app = await start(t)
  await Promise.all([1, 2, 3].map(() => app.inject('/accounts')))
  await asAdmin(kill)
  const replies = await Promise.all([1, 2, 3].map(() => app.inject('/accounts')))
  t.same(
    replies.map(reply => reply.statusCode),
    [200, 200, 200]
  )
})

t.test('a transfer killed half-way is made all the same, and once', async t => {
  const app = await start(t)
  const [from, to] = await openAccounts(app, 100)
  const content = { id: randomUUID(), from, to, amount: 30 }
  const reply = await killedHalfWay('transfers', () => post(app, '/transfers', content))
  t.equal(reply.statusCode, 201)
  t.same(await balances(app, from, to), ['70', '130'])
  t.equal((await post(app, '/transfers', content)).statusCode, 200)
})

t.test('an account killed half-way is created all the same, and once', async t => {
  const app = await start(t)
  const owner = randomUUID()
  const reply = await killedHalfWay('accounts', () => post(app, '/accounts', { owner }))
  t.equal(reply.statusCode, 201)
  const { rowCount } = await app.db.query('select from accounts where owner = $1', [owner])
  t.equal(rowCount, 1)
})

t.test('a transfer that is killed again and again may be sent again', async t => {
  const app = await start(t)
  const [from, to] = await openAccounts(app, 100)
  const content = { id: randomUUID(), from, to, amount: 30 }
  const reply = await killedUntilAnswered('transfers', () => post(app, '/transfers', content))
  t.match(reply.json(), { status: 503, code: 'FST_DB_DISCONNECTED', outcome: 'rolled_back' })
  t.match(reply.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  t.notMatch(reply.body, /postgres|127\.0\.0\.1|insert/)

  t.equal((await post(app, '/transfers', content)).statusCode, 201)
  t.same(await balances(app, from, to), ['70', '130'])
})

t.test('health is 200 while the pool is exhausted', async t => {
  const app = await start(t, { pool_size: 1, max_overflow: 0 })
  await using connection = await app.db.connect()
  await connection.query('select 1')
  const reply = await app.inject('/health')
  t.equal(reply.statusCode, 200)
  t.match(reply.json(), { status: 'ok', database: { state: 'up', checkedOut: 1 } })
})

t.test(
  'over a socket: an outage is 503 with Retry-After, and over when the database is back',
  async t => {
    const app = await start(t)
    const address = await app.listen({ port: 0 })
    t.equal((await fetch(`${address}/accounts`)).status, 200)
    await postgres.restart()
    t.equal((await fetch(`${address}/accounts`)).status, 200)

    await postgres.stop()
    t.teardown(() => postgres.start())
    const reply = await fetch(`${address}/accounts`, jsonBody({ owner: 'Ada' }))
    t.equal(reply.status, 503)
    t.match(reply.headers.get('retry-after'), /^[1-9]\d?$/)
    t.equal(reply.headers.get('content-type'), 'application/problem+json; charset=utf-8')
    t.match(await reply.json(), { code: 'FST_DB_UNAVAILABLE', retryable: true })
    t.equal((await fetch(`${address}/health`)).status, 503)

    await postgres.start()
    t.equal((await fetch(`${address}/accounts`)).status, 200)
    t.equal((await fetch(`${address}/health`)).status, 200)
  }
)

async function start(t: Test, engineOptions = {}): Promise<FastifyInstance> {
  const app = await build(
    readConfig({
      DATABASE_URL: postgres.url,
      ENGINE_OPTIONS: JSON.stringify(engineOptions),
      LOG_LEVEL: 'silent'
    })
  )
  t.teardown(() => app.close())
  await app.ready()
  await createTables(app.db)
  return app
}

async function post(app: FastifyInstance, url: string, payload: object) {
  return await app.inject({ method: 'POST', url, payload })
}

function jsonBody(content: object): RequestInit {
  const headers = { 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(content) }
}

async function openAccounts(app: FastifyInstance, balance: number | string): Promise<number[]> {
  const replies = await Promise.all(
    ['Ada', 'Bob'].map(owner => post(app, '/accounts', { owner, balance }))
  )
  return replies.map(reply => reply.json().id)
}

async function balances(app: FastifyInstance, ...ids: (number | undefined)[]): Promise<string[]> {
  const replies = await Promise.all(ids.map(id => app.inject(`/accounts/${id}`)))
  return replies.map(reply => reply.json().balance)
}

/** Ends the session that serves the request while one of its statements waits for a lock of ours. */
function killedHalfWay<Reply>(table: string, send: () => Promise<Reply>): Promise<Reply> {
  return whileLocked(table, async (unlock, killer) => {
    const reply = send()
    while ((await kill(killer, WAITS_FOR_A_LOCK)) === 0);
    await unlock()
    return await reply
  })
}

/** As above, and every session that it is tried again on as well, until there is an answer. */
function killedUntilAnswered<Reply>(table: string, send: () => Promise<Reply>): Promise<Reply> {
  return whileLocked(table, async (_unlock, killer) => {
    let isAnswered = false
    const reply = send().finally(() => {
      isAnswered = true
    })
    while (!isAnswered) await kill(killer, WAITS_FOR_A_LOCK)
    return await reply
  })
}

/** The killer is another session: inside of a transaction pg_stat_activity does not change. */
function whileLocked<Result>(
  table: string,
  work: (unlock: () => Promise<unknown>, killer: pg.Client) => Promise<Result>
): Promise<Result> {
  return asAdmin(async locker => {
    await locker.query(`begin; lock table ${table}`)
    return await asAdmin(killer => work(() => locker.query('rollback'), killer))
  })
}

async function kill(admin: pg.Client, where = 'true'): Promise<number> {
  const { rowCount } = await admin.query(
    `select pg_terminate_backend(pid, 30000) from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid() and ${where}`
  )
  return rowCount ?? 0
}

/** On a connection that the application knows nothing of, and that is gone afterwards with its locks. */
async function asAdmin<Result>(work: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const admin = new pg.Client(postgres.url)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}
