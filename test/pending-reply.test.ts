import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
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
    t.equal(reply.sent, true)
    pending.restore()
    seen.push([reply.statusCode, structuredClone(reply.getHeaders())])
    reply.code(500).header('x-late', '1').removeHeader('etag').header('set-cookie', 'c=3')
    pending.restore()
    seen.push([reply.statusCode, structuredClone(reply.getHeaders())])
    pending.release()
    t.equal(reply.sent, false)
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

/** What is answered where a reply is sent first, and the handler goes on in this way. */
async function answerLate(t: Test, way: string, insert: string) {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async (request, reply) => {
      await request.db.query(insert)
      reply.code(201).send('first')
      return LATE[way]?.(reply)
    })
  })
  return answer(app)
}

t.test('the reply that was sent first is the one that leaves, when it is committed', async t => {
  for (const way of Object.keys(LATE)) {
    const expected = { statusCode: 201, body: 'first', late: undefined, pets: [1] }
    t.same(await answerLate(t, way, 'insert into pets values (1)'), expected, way)
    await postgres.admin('truncate pets')
  }
})

t.test('where its COMMIT fails, no other says that it was made', async t => {
  for (const way of Object.keys(LATE)) {
    const { body, ...told } = await answerLate(t, way, 'insert into pets values (1, 42)')
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

t.test('no handler runs behind a hook that has replied, whatever that has to wait for', async t => {
  const refusals: Record<string, (reply: FastifyReply) => unknown> = {
    error: reply => void reply.code(401).send({ ok: false }),
    thrown: reply => void reply.send(new Error('no')),
    redirect: reply => void reply.redirect('/login'),
    empty: reply => void reply.code(204).send()
  }
  for (const config of [{}, ROUTE]) {
    for (const text of ['', 'select 1', 'insert into pets values (7)']) {
      const app = await buildApp(t, { url: postgres.url, problemJson: true }, app => {
        for (const [url, refuse] of Object.entries(refusals)) {
          const preHandler = async (request: FastifyRequest, reply: FastifyReply) => {
            if (text !== '') await request.db.query(text)
            refuse(reply)
          }
          app.post(`/${url}`, { ...config, preHandler }, async (request, reply) => {
            reply.header('x-late', '1')
            return (await request.db.query('insert into pets values (1)')).rows
          })
        }
      })
      for (const url of Object.keys(refusals)) {
        const { late, pets } = await answer(app, `/${url}`)
        t.equal(late, undefined, `${url} after '${text}'`)
        t.notOk(pets.includes(1), `${url} after '${text}'`)
        await postgres.admin('truncate pets')
      }
      t.equal(app.db.status().checkedOut, 0)
    }
  }
})

t.test('where nothing has to be waited for, all is as without us', async t => {
  const PNG = Buffer.from('PNG')
  const routes = (app: FastifyInstance) => {
    const handlers: Record<string, (reply: FastifyReply) => unknown> = {
      buffer: reply => {
        reply.type('image/png').send(PNG)
        throw new Error('late')
      },
      empty: reply => void reply.code(204).send().code(500),
      missing: reply => {
        reply.code(404).send({ first: true })
        reply.code(201).header('x-late', '1')
        return { late: true }
      },
      stream: reply => {
        reply.raw.writeHead(200, { 'x-raw': '1' })
        return reply.send(Readable.from(['a', 'b']))
      }
    }
    for (const [url, handler] of Object.entries(handlers))
      app.post(`/${url}`, async (_request, reply) => handler(reply))
  }
  const plain = Fastify()
  routes(plain)
  const app = await buildApp(t, { url: postgres.url }, routes)
  for (const url of ['/buffer', '/empty', '/missing', '/stream']) {
    const [expected, got] = await Promise.all([
      plain.inject({ method: 'POST', url }),
      app.inject({ method: 'POST', url })
    ])
    t.equal(got.statusCode, expected.statusCode, url)
    t.equal(got.body, expected.body, url)
    t.equal(got.headers['content-type'], expected.headers['content-type'], url)
    t.equal(got.headers['x-late'], undefined, url)
  }
})

t.test('an answer past Fastify, while it is decided, is the answer', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async (request, reply) => {
      await request.db.query('insert into pets values (1)')
      reply.send('first')
      reply.raw.end('raw')
    })
  })
  t.match(await answer(app), { statusCode: 200, body: 'raw', pets: [1] })
})

t.test('Fastify answers 500 to what cannot be sent, and nothing of it is committed', async t => {
  const unsendable: Record<string, (reply: FastifyReply) => unknown> = {
    object: reply => {
      reply.type('text/plain')
      return { a: 1 }
    },
    header: reply => reply.header('x-name', '☃').send('text'),
    location: reply => reply.redirect('/☃'),
    thrown: () => {
      throw new Error('☃')
    }
  }
  for (const config of [{}, ROUTE]) {
    const app = await buildApp(t, { url: postgres.url }, app => {
      app.setErrorHandler((error: Error, _request, reply) =>
        reply.code(500).header('x-reason', error.message).send('failed')
      )
      for (const [url, send] of Object.entries(unsendable)) {
        app.post(`/${url}`, config, async (request, reply) => {
          if (config === ROUTE) await request.db.query('insert into pets values (1)')
          return send(reply)
        })
      }
    })
    for (const url of Object.keys(unsendable)) {
      const { pets, statusCode } = await answer(app, `/${url}`)
      t.same({ pets, statusCode }, { pets: [], statusCode: 500 }, url)
    }
    t.equal(app.db.status().checkedOut, 0)
  }
})

t.test('a stream that fails while ROLLBACK is awaited is an error of the reply', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async (request, reply) => {
      await request.db.query('insert into pets values (1)')
      const page = new Readable({ read() {} })
      reply.code(404).send(page)
      page.destroy(new Error('no such page'))
      return reply
    })
  })
  const { body, pets, statusCode } = await answer(app)
  t.same({ pets, statusCode }, { pets: [], statusCode: 404 }, 'as Fastify has it')
  t.match(JSON.parse(body), { message: 'no such page' })
})

t.test('whoever awaits a reply waits until it is committed, and has left', async t => {
  const seen: (boolean | number[])[] = []
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.post('/', ROUTE, async (request, reply) => {
      await request.db.query('insert into pets values (1)')
      reply.send('first')
      await reply
      seen.push(reply.raw.writableEnded, await pets())
    })
  })
  t.match(await answer(app), { statusCode: 200, body: 'first' })
  t.same(seen, [true, [1]])
})

t.test('a COMMIT that fails takes back no header of the hooks around the handler', async t => {
  const app = await buildApp(t, { url: postgres.url }, app => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('access-control-allow-origin', '*')
    })
    const onRequest = async (_request: FastifyRequest, reply: FastifyReply) => {
      reply.header('x-request-id', '1')
    }
    app.post('/', { ...ROUTE, onRequest }, async (request, reply) => {
      await request.db.query('insert into pets values (1, 42)')
      return reply.code(201).header('location', '/1').send({})
    })
  })
  const { headers, statusCode } = await app.inject({ method: 'POST', url: '/' })
  t.equal(statusCode, 500)
  t.match(headers, { 'access-control-allow-origin': '*', 'x-request-id': '1' })
  t.notOk(headers.location)
})
