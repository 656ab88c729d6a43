import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import t from 'tap'
import { PendingReply } from '../src/pending-reply.js'
import { buildApp } from './fixtures/app.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(`
  create table owners (id int primary key);
  create table pets (id int primary key, owner int references owners deferrable initially deferred)`)
t.beforeEach(() => postgres.admin('truncate pets, owners'))

const ROUTE = { config: { db: { transaction: true } } }
const pets = async () =>
  (await postgres.admin<{ id: number }>('select id from pets order by id')).map(({ id }) => id)

/** What the app answers to a POST, and what it has left. */
async function answer(app: FastifyInstance, url = '/') {
  const { body, headers, statusCode } = await app.inject({ method: 'POST', url })
  return { statusCode, body, late: headers['x-late'], pets: await pets() }
}

t.test('what is set on a reply while it is decided on does not become part of it', async t => {
  const app = Fastify()
  const seen: [number, object][] = []
  app.get('/', async (_request, reply) => {
    reply.code(201).header('etag', '1').header('set-cookie', ['a=1', 'b=2'])
    const pending = new PendingReply(reply)
    pending.restore()
    seen.push([reply.statusCode, structuredClone(reply.getHeaders())])
    reply.code(500).header('x-late', '1').removeHeader('etag').header('set-cookie', 'c=3')
    pending.restore()
    seen.push([reply.statusCode, structuredClone(reply.getHeaders())])
    return reply.send('sent')
  })
  const { headers, statusCode } = await app.inject('/')
  t.same(seen[0], [201, { etag: '1', 'set-cookie': ['a=1', 'b=2'] }])
  t.same(seen[1], seen[0])
  t.match({ headers, statusCode }, { statusCode: 201, headers: { etag: '1' } })
  t.notOk(headers['x-late'])
})

/** Ways to go on when a reply has been sent, while its COMMIT is under way. */
const LATE: Record<string, (reply: FastifyReply) => unknown> = {
  'returns nothing': () => undefined,
  'returns something else': () => 'late',
  'sends something else': reply => void reply.code(202).header('x-late', '1').send('late'),
  throws: () => {
    throw new Error('late')
  }
}

t.test('the reply that was sent first is the one that leaves, when it is committed', async t => {
  for (const [way, goOn] of Object.entries(LATE)) {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.post('/', ROUTE, async (request, reply) => {
        await request.db.query('insert into pets values (1)')
        reply.code(201).send('first')
        return goOn(reply)
      })
    })
    const expected = { statusCode: 201, body: 'first', late: undefined, pets: [1] }
    t.same(await answer(app), expected, way)
    await postgres.admin('truncate pets')
  }
})

t.test('where its COMMIT fails, no other says that it was made', async t => {
  for (const [way, goOn] of Object.entries(LATE)) {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.post('/', ROUTE, async (request, reply) => {
        await request.db.query('insert into pets values (1, 42)')
        reply.code(201).send('first')
        return goOn(reply)
      })
    })
    const { body, ...told } = await answer(app)
    t.same(told, { statusCode: 500, late: undefined, pets: [] }, way)
    t.match(JSON.parse(body), { code: '23503' }, way)
  }
})

t.test(
  'what was rolled back for an error is not told as done by a handler that goes on',
  async t => {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.post('/', ROUTE, async (request, reply) => {
        await request.db.query('insert into pets values (1)')
        reply.send(new Error('first'))
        return reply.code(201).header('x-late', '1').send('late')
      })
    })
    const { body, ...told } = await answer(app)
    t.same(told, { statusCode: 500, late: undefined, pets: [] })
    t.match(JSON.parse(body), { message: 'first' })
  }
)

t.test(
  'a time-out that was told is not taken back by the handler that it has cut short',
  async t => {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.post('/', { ...ROUTE, handlerTimeout: 100 }, async (request, reply) => {
        await request.db.query('insert into pets values (1)')
        await request.db.query('select pg_sleep(60)').catch(() => {})
        return reply.code(201).send('late')
      })
    })
    const { statusCode, pets } = await answer(app)
    t.same({ statusCode, pets }, { statusCode: 503, pets: [] })
  }
)

t.test('Fastify answers 500 to what cannot be sent, whoever has decided on it', async t => {
  for (const config of [{}, ROUTE]) {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.setErrorHandler((error: Error, _request, reply) =>
        reply.code(500).header('x-reason', error.message).send('failed')
      )
      app.post('/object', config, async (_request, reply) => {
        reply.type('text/plain')
        return { a: 1 }
      })
      app.post('/header', config, async (_request, reply) => {
        reply.header('x-name', '☃')
        return 'text'
      })
      app.post('/error', config, async () => {
        throw new Error('☃')
      })
    })
    for (const url of ['/object', '/header', '/error'])
      t.equal((await answer(app, url)).statusCode, 500, url)
  }
})
