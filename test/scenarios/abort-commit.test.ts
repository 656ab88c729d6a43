import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { ask, listen } from '../fixtures/http-client.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
const LOCK = 4712
await postgres.admin('create table gated (way text)')
await postgres.admin(`create function gate() returns trigger language plpgsql as
  $$ begin perform pg_advisory_xact_lock(${LOCK}); return null; end $$`)
await postgres.admin(`create constraint trigger gate after insert on gated
  deferrable initially deferred for each row execute function gate()`)

const insert = (way: string) => ({ text: 'insert into gated values ($1)', values: [way] })

/** Ways to commit; each waits for the lock in its COMMIT. */
const WAYS: Record<string, (request: FastifyRequest) => Promise<unknown>> = {
  'transaction(fn)': ({ db }) => db.transaction(async tx => tx.query(insert('transaction(fn)'))),
  'a text': async ({ db }) => {
    await db.query('begin')
    await db.query(insert('a text'))
    await db.query('commit')
  },
  'several in a text': ({ db }) =>
    db.query("begin; insert into gated values ('several in a text'); commit"),
  'a client': async ({ db }) => {
    const client = await db.client()
    await client.query('begin')
    await client.query(insert('a client'))
    await client.query('commit')
  },
  'a batch': ({ db }) => db.batch([insert('a batch'), 'select 1']),
  'the route': ({ db }) => db.query(insert('the route'))
}

function pathOf(way: string): string {
  return `/${way.replaceAll(' ', '-')}`
}

function addRoutes(app: FastifyInstance): void {
  for (const [way, commit] of Object.entries(WAYS)) {
    const config = way === 'the route' ? { db: { transaction: true } } : {}
    app.route({
      method: ['GET', 'POST'],
      url: pathOf(way),
      config,
      handler: async request => {
        await commit(request)
        return { committed: true }
      }
    })
  }
}

for (const way of Object.keys(WAYS)) {
  for (const method of ['GET', 'POST']) {
    t.test(
      `a COMMIT of ${way} is made, though the client of a ${method} leaves meanwhile`,
      async t => {
        await postgres.admin('truncate gated')
        const applicationName = `${method} ${way}`
        const options = {
          url: named(postgres.url, applicationName),
          onAbort: 'cancel' as const,
          engineOptions: { pool_size: 1, max_overflow: 0 }
        }
        const app = await buildApp(t, options, addRoutes)
        const port = await listen(app)
        let closed = 0
        app.server.on('request', (_request, response) =>
          response.once('close', () => (closed += 1))
        )
        await postgres.admin('select pg_advisory_lock($1)', [LOCK])
        try {
          let leave = () => {}
          const path = pathOf(way)
          const asked = ask(port, path, { method, onSent: how => (leave = how) }).catch(() => {})
          const [waiting] = await postgres.untilBackends({
            applicationName,
            where: "wait_event = 'advisory'"
          })
          leave()
          await asked
          await until(() => closed === 1)
          const still = await postgres.backends({
            applicationName,
            where: "wait_event = 'advisory'"
          })
          t.equal(still[0]?.pid, waiting?.pid)
        } finally {
          await postgres.admin('select pg_advisory_unlock($1)', [LOCK])
        }
        await until(() => app.db.status().checkedOut === 0)
        t.same(await postgres.admin('select way from gated'), [{ way }])
        t.match(app.db.status(), { size: 1, counters: { connects: 1 } })
      }
    )
  }
}
