import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance } from 'fastify'
import type { Submittable } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { isCoded503, killUnder, SECRET_PARAMETER } from '../fixtures/killed.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key, text text)')

const NUMBERS = 'select generate_series(1, 5) id'
/** Two rows, and then nothing more. */
const HALF = 'select id, case when id > 2 then pg_sleep(600)::text end, $1::text from numbers'
await postgres.admin('create table numbers as select generate_series(1, 5) id')

/** Anything that takes a query of a library's own. */
type Target = { query<Query extends Submittable>(query: Query): Query }

async function readCursor(target: Target, text: string, values: unknown[] = []) {
  const cursor = target.query(new Cursor(text, values))
  const rows: unknown[] = []
  for (;;) {
    const page = await cursor.read(2)
    if (page.length === 0) break
    rows.push(...page)
  }
  await cursor.close()
  return rows
}

async function readStream(target: Target, text: string, values: unknown[] = []) {
  const rows: unknown[] = []
  for await (const row of target.query(new QueryStream(text, values, { batchSize: 2 })))
    rows.push(row)
  return rows
}

async function readCopy(target: Target, text: string) {
  let copied = ''
  for await (const chunk of target.query(copyTo(text) as never) as Readable) copied += chunk
  return copied
}

function writeCopy(target: Target, source: Readable) {
  return pipeline(source, target.query(copyFrom('copy notes from stdin') as never))
}

/** The routes twice: on a client of the pool, and on the request's connection. */
function addRoutes(app: FastifyInstance): void {
  const routes: [string, (target: Target) => unknown][] = [
    ['cursor', target => readCursor(target, NUMBERS)],
    ['cursor/half', target => readCursor(target, HALF, [SECRET_PARAMETER])],
    ['stream', target => readStream(target, NUMBERS)],
    ['stream/half', target => readStream(target, HALF, [SECRET_PARAMETER])],
    ['copy', target => readCopy(target, `copy (${NUMBERS}) to stdout`)],
    ['copy/half', target => readCopy(target, 'copy (select pg_sleep(600)) to stdout')]
  ]
  for (const [name, run] of routes) {
    app.get(`/request/${name}`, async request => run(request.db))
    app.get(`/pool/${name}`, async () => {
      const client = await app.db.pool.connect()
      try {
        return await run(client as Target)
      } finally {
        client.release()
      }
    })
  }
  app.post('/copy', async request => {
    await writeCopy(request.db, Readable.from(['1\tone\n', '2\ttwo\n']))
    return (await request.db.query('select count(*)::int from notes')).rows
  })
  app.post('/copy/half', async request => {
    const source = new Readable({ read: () => {} })
    source.push('3\tthree\n')
    await writeCopy(request.db, source)
  })
  const lines = (stream: Readable) => stream.map(row => `${JSON.stringify(row)}\n`)
  app.get('/reply', (request, reply) => {
    reply.send(lines(request.db.query(new QueryStream(NUMBERS))))
  })
  app.get('/reply/half', (request, reply) => {
    const query = new QueryStream(HALF, [SECRET_PARAMETER], { batchSize: 3 })
    reply.send(lines(request.db.query(query)))
  })
}

t.test('cursors, query streams and COPY work on a pool’s client and a request’s', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  const rows = [1, 2, 3, 4, 5].map(id => ({ id }))
  for (const on of ['pool', 'request']) {
    t.same((await app.inject(`/${on}/cursor`)).json(), rows)
    t.same((await app.inject(`/${on}/stream`)).json(), rows)
    t.equal((await app.inject(`/${on}/copy`)).body, '1\n2\n3\n4\n5\n')
  }
  t.same((await app.inject({ method: 'POST', url: '/copy' })).json(), [{ count: 2 }])
  await until(() => app.db.status().checkedOut === 0)
})

for (const name of ['cursor', 'stream', 'copy']) {
  t.test(`a backend killed half-way through a ${name} is a coded 503`, async t => {
    const app = await buildApp(t, { url: postgres.url }, addRoutes)
    for (const on of ['pool', 'request']) {
      isCoded503(t, await killUnder(postgres, app.inject(`/${on}/${name}/half`)))
      await until(() => app.db.status().checkedOut === 0)
    }
    t.equal((await app.inject(`/request/${name}`)).statusCode, 200)
  })
}

t.test(
  'a backend killed half-way through COPY FROM is a coded 503, and nothing is kept',
  async t => {
    const app = await buildApp(t, { url: postgres.url }, addRoutes)
    const copying = { where: "query = 'copy notes from stdin' and wait_event = 'ClientRead'" }
    const running = app.inject({ method: 'POST', url: '/copy/half' })
    isCoded503(t, await killUnder(postgres, running, copying))
    t.same(await postgres.admin('select id from notes where id = 3'), [])
    await until(() => app.db.status().checkedOut === 0)
  }
)

t.test('a stream that is the reply: killed before its first row it is a coded 503', async t => {
  const app = await buildApp(t, { url: postgres.url }, addRoutes)
  t.equal((await app.inject('/reply')).body.trim().split('\n').length, 5)
  isCoded503(t, await killUnder(postgres, app.inject('/reply/half')))
  await until(() => app.db.status().checkedOut === 0)
})
