import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp, named, servedBy } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

/**
 * Peers that fall silent with their sockets open. Nothing but the watch ends these waits: the tests would hang without
 * it. What takes part in each is held up until it is known to be under way, so that no test depends on speed.
 */
const engineOptions = { half_open_timeout: 1, pool_size: 3, max_overflow: 0 } as const

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')

/** An app behind a network of its own. */
async function appBehindProxy(t: Pick<Test, 'teardown'>, options: object = {}) {
  const proxy = await startProxy(t, postgres)
  const app = await buildApp(
    t,
    {
      url: proxy.url(postgres.url),
      engineOptions: { ...engineOptions, ...options }
    },
    addRoutes
  )
  return { app, proxy }
}

/** Resolves when the server works on a statement with this text. */
function underWay(text: string) {
  return postgres.untilBackends({ where: `state = 'active' and query like '%${text}%'` })
}

function addRoutes(app: FastifyInstance): void {
  app.get('/pid', async request => (await request.db.query('select pg_backend_pid() pid')).rows[0])
  app.get('/read', async request => (await request.db.query('select 1 one')).rows)
}

async function generationOf(app: FastifyInstance): Promise<number> {
  return app.db.status().generation
}

for (const direction of ['both', 'toServer', 'toClient'] as const) {
  t.test(
    `a network that swallows everything (${direction}) ends a read's wait, and it is answered`,
    async t => {
      const { app, proxy } = await appBehindProxy(t)
      await app.inject('/read')
      proxy.freeze(direction)
      // The next ones are let through.
      const old = proxy.connections()
      app.db.on('generation', () => proxy.thaw())
      t.equal((await app.inject('/read')).statusCode, 200)
      t.equal(await generationOf(app), 1)
      for (const connection of old) connection.destroy()
    }
  )
}

t.test('a write that nobody answered is told from its evidence, a COMMIT too', async t => {
  const { app, proxy } = await appBehindProxy(t)
  await app.db.query('select 1')
  const insert = app.db.query('insert into notes values (1) returning pg_sleep(0.2)')
  await underWay('insert into notes')
  proxy.freeze('toClient')
  app.db.on('generation', () => proxy.thaw())
  const outcome = await insert.then(
    () => 'applied',
    error => error.outcome
  )
  const [row] = await postgres.admin('select count(*)::int n from notes where id = 1')
  if (outcome !== 'unknown') t.equal(row?.n, outcome === 'applied' ? 1 : 0)
  t.equal(await generationOf(app), 1)
})

t.test(
  'SIGSTOP of the whole server: every request is answered, and all work again after SIGCONT',
  async t => {
    const postgres = await startPostgres(t)
    const app = await buildApp(
      t,
      {
        url: named(postgres.url, 'stopped'),
        engineOptions: { ...engineOptions, pool_timeout: 3, connect_timeout: 1 }
      },
      addRoutes
    )
    await Promise.all(Array.from({ length: 3 }, () => app.inject('/read')))
    const pids = [
      postgres.server.pid!,
      ...(await postgres.backends({ applicationName: 'stopped' })).map(({ pid }) => pid)
    ]
    // The postmaster first, so that it starts nobody in the place of the others.
    for (const pid of pids) postgres.freeze(pid)
    const replies = await Promise.all(Array.from({ length: 10 }, () => app.inject('/read')))
    for (const { statusCode, headers } of replies) {
      t.equal(statusCode, 503)
      t.ok(headers['retry-after'])
    }
    t.ok((await generationOf(app)) > 0)
    for (const pid of pids.toReversed()) postgres.thaw(pid)
    while ((await app.inject('/read')).statusCode !== 200);
    const after = await Promise.all(Array.from({ length: 10 }, () => app.inject('/read')))
    t.ok(after.every(({ statusCode }) => statusCode === 200))
  }
)

t.test(
  'a slow query on a healthy server is not killed, however often it is looked after',
  async t => {
    const { app, proxy } = await appBehindProxy(t)
    await servedBy(app)
    const before = proxy.connects
    const slow = app.db.query("select pg_sleep(3.5), 'slow' as is")
    const result = await slow
    t.match(result.rows, [{ is: 'slow' }])
    t.ok(proxy.connects > before, 'it was looked after')
    t.equal(await generationOf(app), 0)
  }
)

t.test('nor is it by a stall of our own loop', async t => {
  const { app } = await appBehindProxy(t)
  await servedBy(app)
  const slow = app.db.query("select pg_sleep(0.5), 'stalled' as is")
  await underWay('stalled')
  const stalledUntil = performance.now() + 4000
  while (performance.now() < stalledUntil);
  t.match((await slow).rows, [{ is: 'stalled' }])
  t.equal(await generationOf(app), 0)
})

t.test('one connection that the network forgot costs that client only', async t => {
  const { app, proxy } = await appBehindProxy(t)
  // A write, so that it is known which server it is on.
  await app.db.query('insert into notes values (2)')
  const [forgotten] = proxy.connections()
  forgotten?.freeze()
  t.match((await app.db.query('select id from notes where id = 2')).rows, [{ id: 2 }])
  t.equal(await generationOf(app), 0)
  t.equal(app.db.status().replays, 1)
})

t.test('a ping and a reset that nobody answers are ended too', async t => {
  const { app, proxy } = await appBehindProxy(t, {
    pool_pre_ping_window: 0,
    pool_pre_ping_timeout: 60
  })
  await servedBy(app)
  proxy.freeze()
  app.db.on('generation', () => proxy.thaw())
  t.ok(await servedBy(app))

  const connection = await app.db.connect()
  await connection.query('begin')
  proxy.freeze()
  connection.release()
  t.ok(await servedBy(app))
  t.equal(await generationOf(app), 2)
})

t.test('half_open_timeout 0: nobody looks', async t => {
  const { app, proxy } = await appBehindProxy(t, { half_open_timeout: 0 })
  await servedBy(app)
  const before = proxy.connects
  await app.db.query('select pg_sleep(2.5)')
  t.equal(proxy.connects, before)
})
