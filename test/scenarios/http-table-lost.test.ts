import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { assertAnswered, type Expected, type Failing } from '../fixtures/http-ways.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table secrets (id int)')
const options = { url: postgres.url }
const IDEMPOTENT = { idempotent: true }

const INSERT = 'insert into secrets values (1)'
const DISCONNECTED: Expected = {
  code: 'FST_DB_DISCONNECTED',
  status: 503,
  outcome: 'rolled_back',
  retryAfter: '1'
}
const UNKNOWN: Expected = { code: 'FST_DB_OUTCOME_UNKNOWN', status: 503, outcome: 'unknown' }
const PARTLY: Expected = { code: 'FST_DB_PARTLY_APPLIED', status: 503, outcome: 'applied' }

/** Ends the backend that serves a request. */
async function kill({ db }: FastifyRequest): Promise<void> {
  const { rows } = await db.query<{ pid: number }>('select pg_backend_pid() pid')
  await postgres.terminateBackends({ pids: [rows[0]!.pid] })
}

t.test('the connection is lost in a transaction', async t => {
  const handler: Failing['handler'] = request =>
    request.db.transaction(async tx => {
      await tx.query(INSERT)
      await kill(request)
      await tx.query(INSERT)
    })
  await assertAnswered(t, { options, handler }, DISCONNECTED)
  const whole: Failing['handler'] = async request => {
    await request.db.query(INSERT)
    await kill(request)
    await request.db.query(INSERT)
  }
  await assertAnswered(t, { options, config: { transaction: true }, handler: whole }, DISCONNECTED)
  t.same(await postgres.admin('select from secrets'), [])
})

t.test('the connection is lost in a statement that the server had not completed', async t => {
  const SLEEP = 'insert into secrets select 1 from pg_sleep(60)'
  const running = { where: `query = '${SLEEP}' and state = 'active'` }
  const failing: Failing = {
    options,
    handler: ({ db }) => db.query(SLEEP),
    // As it is known not to have happened, it is run again twice before it is given up.
    async meanwhile(app) {
      for (let kills = 0; kills < 3; kills += 1) {
        const [backend] = await postgres.untilBackends(running)
        await postgres.terminateBackends({ pids: [backend!.pid] })
      }
      t.equal(app.db.status().replays, 2)
    }
  }
  await assertAnswered(t, failing, DISCONNECTED)
  t.same(await postgres.admin('select from secrets'), [])
})

t.test('nobody can find out what became of a statement', async t => {
  await assertAnswered(t, await losing(t, 'CommandComplete'), UNKNOWN)
  await assertAnswered(t, await losing(t, 'ReadyForQuery'), UNKNOWN)
  const idempotent = { ...UNKNOWN, retryAfter: '1' }
  const failing = await losing(t, 'ReadyForQuery')
  await assertAnswered(t, { ...failing, config: IDEMPOTENT }, idempotent)
})

t.test('something was applied before the connection was lost', async t => {
  const handler: Failing['handler'] = async request => {
    await request.db.query(INSERT)
    await kill(request)
    await request.db.transaction(async tx => {
      await tx.query(INSERT)
      await kill(request)
      await tx.query(INSERT)
    })
  }
  await assertAnswered(t, { options, handler }, PARTLY)
  const idempotent = { ...PARTLY, retryAfter: '1' }
  await assertAnswered(t, { options, config: IDEMPOTENT, handler }, idempotent)
})

t.test('something was applied before there was no connection to be had', async t => {
  const engineOptions = { pool_size: 1, max_overflow: 0, pool_timeout: 0, close_timeout: 0.1 }
  const handler: Failing['handler'] = async ({ db }, app) => {
    await db.query(INSERT)
    db.release()
    await app.db.connect()
    await db.query(INSERT)
  }
  const expected = { code: 'FST_DB_POOL_TIMEOUT', status: 503, outcome: 'applied' }
  await assertAnswered(t, { options: { ...options, engineOptions }, handler }, expected)
})

/** An INSERT whose connection goes before this message of its answer, where doubt is not resolved. */
async function losing(t: Test, message: string): Promise<Failing> {
  const proxy = await startProtocolProxy(t, postgres)
  return {
    options: { url: proxy.proxy.url(postgres.url), engineOptions: { resolve_doubt: false } },
    async handler({ db }) {
      await db.query('select 1')
      proxy.conversations
        .at(-1)
        ?.cutAt({ way: 'toClient', side: 'before', message: ({ name }) => name === message }, 'rst')
      await db.query(INSERT)
    }
  }
}
