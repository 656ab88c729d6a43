import type { FastifyRequest } from 'fastify'
import pg from 'pg'
import t, { type Test } from 'tap'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table entries (id int)')
await postgres.admin(
  `create function write() returns int language sql as 'insert into entries values (1) returning id'`
)
t.beforeEach(() => postgres.admin('truncate entries'))

const READ_ONLY = { readOnly: true }
const INSERT = 'insert into entries values (1)'

/** A read-only route, asked once; with the texts that reached the server. */
async function answer(
  t: Test,
  handler: (request: FastifyRequest) => Promise<unknown>,
  db: object = READ_ONLY
) {
  const proxy = await startProxy(t, postgres)
  const texts = recordStatements(proxy)
  const app = await buildApp(t, { url: proxy.url(postgres.url) }, app => {
    app.post('/', { config: { db } }, handler)
  })
  const response = await app.inject({ method: 'POST', url: '/' })
  t.same(await postgres.admin('select from entries'), [], 'nothing was written')
  t.equal(app.db.status().checkedOut, 0)
  t.equal(app.db.status().generation, 0, 'the server is not to blame')
  return { response, sent: texts.filter(text => !text.includes('pg_catalog')) }
}

t.test('a read is one round trip, within a READ ONLY transaction of its own', async t => {
  const { response, sent } = await answer(t, async ({ db }) => {
    return (await db.query('show transaction_read_only')).rows
  })
  t.same(response.json(), [{ transaction_read_only: 'on' }])
  t.same(sent, ['BEGIN READ ONLY', 'show transaction_read_only', 'COMMIT'])
})

t.test('with a route transaction there is one for all of them', async t => {
  const both = { readOnly: true, transaction: true }
  const handler = async ({ db }: FastifyRequest) => {
    await db.query('select 1')
    return (await db.query('show transaction_read_only')).rows
  }
  const { response, sent } = await answer(t, handler, both)
  t.same(response.json(), [{ transaction_read_only: 'on' }])
  const level = 'SHOW transaction_isolation'
  t.same(sent, ['BEGIN READ ONLY', level, 'select 1', 'show transaction_read_only', 'COMMIT'])
})

t.test('a write that does not show is refused by the server, with its own error', async t => {
  const hidden = ['select write()', `with w as (${INSERT} returning id) select * from w`]
  for (const text of hidden) {
    const { response } = await answer(t, ({ db }) => db.query(text))
    t.equal(response.statusCode, 500)
    t.equal(response.json().code, '25006', text)
    t.equal(response.headers['retry-after'], undefined)
  }
})

t.test('what is no query is refused before it is sent', async t => {
  const texts = [
    INSERT,
    'update entries set id = 2',
    'truncate entries',
    'create table more ()',
    'set transaction read write',
    'begin',
    'commit',
    `select 1; ${INSERT}`,
    `do $$ begin ${INSERT}; end $$`,
    'call whatever()',
    'copy entries from stdin',
    'lock entries',
    'explain analyze select write()'
  ]
  for (const text of texts) {
    const { response, sent } = await answer(t, ({ db }) => db.query(text))
    t.equal(response.statusCode, 500, text)
    t.equal(response.json().code, 'FST_DB_TRANSACTION_STATE', text)
    t.same(sent, [], text)
  }
})

t.test('nor does a batch write', async t => {
  const { response } = await answer(t, ({ db }) => db.batch(['select 1', INSERT]))
  t.equal(response.json().code, 'FST_DB_TRANSACTION_STATE')
  const hidden = await answer(t, ({ db }) => db.batch(['select 1', 'select write()']))
  t.equal(hidden.response.json().code, '25006')
})

t.test('nor does a transaction in such a route, whatever its options', async t => {
  for (const options of [{}, { isolationLevel: 'SERIALIZABLE' }] as const) {
    const { response } = await answer(t, ({ db }) =>
      db.transaction(tx => tx.query('select write()'), options)
    )
    t.equal(response.json().code, '25006')
    const shown = await answer(t, ({ db }) => db.transaction(tx => tx.query(INSERT), options))
    t.equal(shown.response.json().code, 'FST_DB_TRANSACTION_STATE')
  }
})

t.test('nor does a query of a library’s own', async t => {
  for (const text of [INSERT, 'select write()']) {
    const { response } = await answer(t, ({ db }) => {
      return new Promise((resolve, reject) => {
        const query = new pg.Query({ text })
        query.once('end', resolve).once('error', reject)
        try {
          db.query(query)
        } catch (error) {
          reject(error)
        }
      })
    })
    t.equal(response.statusCode, 500, text)
    t.match(response.json().code, /^(25006|FST_DB_TRANSACTION_STATE)$/, text)
  }
})
