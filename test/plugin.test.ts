import { Readable } from 'node:stream'
import Fastify from 'fastify'
import dbPlugin, { toProblem } from 'fastify-pg-engine'
import t from 'tap'
import { buildApp, named } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
const SLEEPING = { where: "query = 'select pg_sleep(60)' and state = 'active'" }

t.test('X47: a request that never touches req.db takes no client', async t => {
  const app = await buildApp(t, { url: postgres.url })
  t.equal((await app.inject('/untouched')).statusCode, 200)
  t.match(app.db.status(), { size: 0, counters: { checkouts: 0, connects: 0 } })
})

t.test(
  'F11 P86: req.db is one object and one client within a request, another in the next',
  async t => {
    const seen: unknown[] = []
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.get('/', async request => {
        seen.push(request.db)
        t.equal(request.db, request.db)
        const pids = await Promise.all(
          [1, 2].map(() => request.db.query('select pg_backend_pid() pid'))
        )
        t.equal(pids[0]?.rows[0]?.pid, pids[1]?.rows[0]?.pid)
        await app.db.query('select 1')
        return pids[0]?.rows[0]
      })
    })
    const both = await Promise.all([app.inject('/'), app.inject('/')])
    t.not(both[0].json().pid, both[1].json().pid, 'concurrent requests never share a client')
    t.not(seen[0], seen[1])
  }
)

t.test('an ordinary reply gives its client back before its bytes leave', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.addHook('onSend', async (request, _reply, payload) => {
      await request.db.query("select 'other plugins still find it'")
      t.equal(app.db.status().checkedOut, 1)
      return payload
    })
    app.get('/', async request => (await request.db.query('select 1 one')).rows)
    app.addHook('onResponse', async () => t.equal(app.db.status().checkedOut, 0))
  })
  t.same((await app.inject('/')).json(), [{ one: 1 }])
  t.equal(app.db.status().counters.checkouts, 1)
})

t.test('R16 X60: used after the reply it rejects, coded', async t => {
  let late: Promise<unknown> = Promise.resolve()
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.get('/', async (request, reply) => {
      await request.db.query('select 1')
      reply.raw.once('close', () => {
        late = t.rejects(request.db.query('select 1'), { code: 'FST_DB_CONNECTION_CLOSED' })
      })
      return {}
    })
  })
  await app.inject('/')
  await late
  t.equal(app.db.status().checkedOut, 0)
})

t.test('release() gives the client back early, a later statement takes one again', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.get('/', async request => {
      await request.db.query('select 1')
      request.db.release()
      request.db.release()
      t.equal(app.db.status().checkedOut, 0)
      return (await request.db.query('select 2 two')).rows
    })
  })
  t.same((await app.inject('/')).json(), [{ two: 2 }])
  t.match(app.db.status(), { checkedOut: 0, counters: { checkouts: 2 } })
})

t.test('every kind of reply gives the client back exactly once', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    const use = async (request: { db: { query(text: string): Promise<unknown> } }) => {
      await request.db.query('select 1')
    }
    app.get('/thrown', async request => {
      await use(request as never)
      throw new Error('thrown')
    })
    app.get('/redirect', async (request, reply) => {
      await use(request as never)
      return reply.redirect('/elsewhere')
    })
    app.get('/hijacked', async (request, reply) => {
      await use(request as never)
      reply.hijack()
      reply.raw.end('hijacked')
    })
    app.get('/stream', async (request, reply) => {
      await use(request as never)
      return reply.send(Readable.from(['a', 'b']))
    })
    app.get('/web-stream', async request => {
      await use(request as never)
      return new Response('web')
    })
    app.get('/empty', async (request, reply) => {
      await use(request as never)
      return reply.code(204).send()
    })
    app.setNotFoundHandler(async (request, reply) => {
      await use(request as never)
      return reply.code(404).send({ missing: true })
    })
  })
  let checkins = 0
  app.db.on('checkin', () => {
    checkins += 1
  })
  const urls = ['thrown', 'redirect', 'hijacked', 'stream', 'web-stream', 'empty', 'missing']
  for (const [index, url] of urls.entries()) {
    await app.inject(`/${url}`)
    t.equal(app.db.status().checkedOut, 0, url)
    t.equal(checkins, index + 1, url)
  }
})

t.test('X53: a stream keeps its client until it ends', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.get('/', async (request, reply) => {
      async function* rows() {
        for (const n of [1, 2, 3]) {
          const { rows } = await request.db.query(`select ${n} n, pg_backend_pid() pid`)
          yield `${JSON.stringify(rows[0])}\n`
        }
      }
      return reply.send(Readable.from(rows()))
    })
  })
  const lines = (await app.inject('/')).body.trim().split('\n')
  t.same(
    lines.map(line => JSON.parse(line).n),
    [1, 2, 3]
  )
  t.equal(new Set(lines.map(line => JSON.parse(line).pid)).size, 1)
  t.equal(app.db.status().checkedOut, 0)
})

t.test('a hook before ours may use the database', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => {
    await request.db.query('select 1')
  })
  await app.register(dbPlugin, { url: postgres.url, env: {} })
  app.get('/', async request => (await request.db.query('select 2 two')).rows)
  t.same((await app.inject('/')).json(), [{ two: 2 }])
  t.match(app.db.status(), { checkedOut: 0, counters: { checkouts: 1 } })
})

t.test('an app boots while the database is away, unless it insists on one', async t => {
  const away = 'postgres://127.0.0.1:1/nobody'
  const app = await buildApp(t, { url: away })
  t.equal(app.db.status().connecting, 0)
  await t.rejects(buildApp(t, { url: away, requireDatabase: true }), { code: 'FST_DB_UNAVAILABLE' })
  const served = await buildApp(t, { url: postgres.url, requireDatabase: true })
  t.match(served.db.status(), { state: 'up', checkedOut: 0 })
})

t.test('why a required database does not answer is in the log', async t => {
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: line => lines.push(line) } } })
  t.teardown(() => app.close())
  const url = new URL(postgres.url)
  url.pathname = '/nowhere'
  const boot = async () => app.register(dbPlugin, { url: url.href, requireDatabase: true, env: {} })
  await t.rejects(boot, { code: 'FST_DB_MISCONFIGURED' })
  t.match(lines.join(''), /database \\"nowhere\\" does not exist/)
  t.notMatch(lines.join(''), url.password)
})

t.test('the headers survive a custom error handler and a wrapped error', async t => {
  const engineOptions = { recovery_timeout: 0 }
  const app = await buildApp(t, { url: 'postgres://127.0.0.1:1/nobody', engineOptions }, app => {
    app.setErrorHandler((error, _request, reply) => reply.send({ own: true, ...toProblem(error) }))
    app.post('/', async request => request.db.query('select 1'))
    app.post('/wrapped', async request => {
      await request.db.query('select 1').catch(cause => {
        throw new Error('Failed query: select secret', { cause })
      })
    })
  })
  for (const url of ['/', '/wrapped']) {
    const response = await app.inject({ method: 'POST', url })
    t.equal(response.statusCode, 503)
    t.equal(response.headers['retry-after'], '1')
    t.equal(response.headers['cache-control'], 'no-store')
    t.match(response.json(), { own: true, code: 'FST_DB_UNAVAILABLE', outcome: 'none' })
    t.notMatch(response.body, /127\.0\.0\.1|secret|select/)
  }
})

t.test(
  'Retry-After: with an idempotent route even after a write, for app.db on safe methods',
  async t => {
    await postgres.admin('create table applied (a int)')
    const app = await buildApp(t, { url: named(postgres.url, 'retry') }, app => {
      const sleep = async (request: { db: { query(text: string): Promise<unknown> } }) => {
        await request.db.query('insert into applied values (1)')
        await request.db.query('select pg_sleep(60)')
      }
      app.post('/idempotent', { config: { db: { idempotent: true } } }, r => sleep(r as never))
      app.post('/plain', r => sleep(r as never))
      app.route({
        method: ['GET', 'POST'],
        url: '/engine',
        handler: () => app.db.query('select pg_sleep(60)')
      })
    })
    const cases = [
      ['POST', '/idempotent', '1'],
      ['POST', '/plain', undefined],
      ['GET', '/engine', '1'],
      ['POST', '/engine', undefined]
    ] as const
    for (const [method, url, expected] of cases) {
      const running = app.inject({ method, url })
      await postgres.untilBackends(SLEEPING)
      await postgres.terminateBackends(SLEEPING)
      const response = await running
      t.equal(response.statusCode, 503)
      t.equal(response.headers['retry-after'], expected, `${method} ${url}`)
    }
  }
)

t.test('X33: a wrong password or database is a 500 that a person can act on', async t => {
  const url = new URL(postgres.url)
  url.password = 'wrong-password'
  const logged: string[] = []
  const app = await buildApp(t, { url: url.href }, undefined, {
    logger: { stream: { write: (line: string) => logged.push(line) } }
  })
  const response = await app.inject('/pid')
  t.equal(response.statusCode, 500)
  t.equal(response.json().code, 'FST_DB_MISCONFIGURED')
  t.equal(response.headers['retry-after'], undefined)
  t.match(logged.join(''), /password authentication failed/)
  t.notMatch(logged.join('') + response.body, /wrong-password/)
})

t.test('C05 X28 F07: what is wrong with options is said at boot, all at once', async t => {
  const cases: [object, RegExp][] = [
    [{ env: {} }, /url: expected a URL .* got nothing; set DATABASE_URL/],
    [{ url: postgres.url, engineOptions: { pool_sizes: 5 } }, /pool_sizes: unknown option/],
    [{ url: postgres.url, env: { ENGINE_OPTIONS: '{' } }, /ENGINE_OPTIONS: expected a JSON object/],
    [{ url: postgres.url, onAbort: 'never' }, /onAbort: expected "cancel-reads" or/],
    [{ url: postgres.url, urll: 'x' }, /urll: unknown option/],
    [{ url: 'postgres://h1,h2:1:2/d' }, /url: expected a URL/],
    [{ url: 'postgres://h1,h2/d' }, /several hosts/],
    [
      {
        url: 'postgres://user:hun#ter2@host/db',
        env: { QUERY_ENGINE_OPTIONS_POOL_SIZE: '1', QUERY_ENGINE_OPTIONS__ECHO: 'yes' },
        engineOptions: { pool_timeout: '1' },
        onAbort: 'never',
        name: 'query',
        urll: 'x'
      },
      /^Invalid options for the database 'query':(?=.*\n- name: )(?=.*\n- urll: )(?=.*\n- onAbort: )(?=.*\n- url: .*%23)(?=.*\n- pool_timeout: )(?=.*\n- pool_size: .*__POOL_SIZE)(?=.*\n- echo: )/s
    ],
    [
      { url: 'postgres://h1,h2/d', engineOptions: { echo: 1 }, env: 'x' },
      /(?=.*\n- env: )(?=.*\n- echo: )/s
    ]
  ]
  for (const [options, message] of cases) {
    const app = Fastify()
    t.teardown(() => app.close())
    await t.rejects(async () => await app.register(dbPlugin, { env: {}, ...options }), {
      code: 'FST_DB_INVALID_OPTIONS',
      message
    })
  }
})

t.test('a route whose config.db is wrong does not boot', async t => {
  for (const db of [{ idempotent: 'yes' }, { timeout: 0 }, { nonsense: 1 }, 'x']) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(dbPlugin, { url: postgres.url, env: {} })
    t.throws(() => app.get('/', { config: { db: db as never } }, async () => ({})), {
      code: 'FST_DB_INVALID_OPTIONS'
    })
  }
})
