import { PassThrough, Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp, named } from './fixtures/app.js'
import { ask, listen } from './fixtures/http-client.js'
import { until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(
  'create table entries (id int primary key, ref int references entries deferrable initially deferred)'
)
await postgres.admin('create table gated (id int)')
await postgres.admin(`create function gate() returns trigger language plpgsql as
  $$ begin perform pg_advisory_xact_lock(1); return null; end $$`)
await postgres.admin(`create constraint trigger gate after insert on gated
  deferrable initially deferred for each row execute function gate()`)
t.beforeEach(() => postgres.admin('truncate entries'))

const ROUTE = { config: { db: { transaction: true } } }
const GOOD = 'insert into entries values (1)'
/** COMMIT refuses it. */
const BAD = 'insert into entries values (1, 99)'
const ids = async () =>
  (await postgres.admin<{ id: number }>('select id from entries order by id')).map(({ id }) => id)

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

/** The three kinds of streams that Fastify takes. */
const KINDS: Record<string, (chunks: Iterable<string> | AsyncIterable<string>) => unknown> = {
  'a stream': chunks => Readable.from(chunks),
  'a web stream': chunks => webStream(chunks),
  'a Response': chunks => new Response(webStream(chunks), { status: 201, headers: { etag: 'e' } })
}

function webStream(chunks: Iterable<string> | AsyncIterable<string>): ReadableStream {
  return Readable.toWeb(Readable.from(chunks).map(Buffer.from)) as ReadableStream
}

/** An app with one route transaction, asked over a real socket. */
async function serve(t: Test, handler: Handler, method: 'GET' | 'POST' = 'POST') {
  const app = await buildApp(t, { url: named(postgres.url, 'stream') }, app => {
    app.route({ method, url: '/', ...ROUTE, handler: async (...args) => handler(...args) })
  })
  return { app, port: await listen(app) }
}

for (const [kind, make] of Object.entries(KINDS)) {
  t.test(`${kind}: its last chunk waits for COMMIT`, async t => {
    const { app, port } = await serve(t, async ({ db }) => {
      await db.query('insert into gated values (1)')
      return make(['a', 'b', 'c'])
    })
    await postgres.admin('select pg_advisory_lock(1)')
    let seen = ''
    const answering = ask(port, '/', {
      onBody: body => {
        seen = body
      }
    })
    await postgres.untilBackends({
      applicationName: 'stream',
      where: "query = 'COMMIT' and wait_event_type = 'Lock'"
    })
    await until(() => seen === 'ab')
    await postgres.admin('select pg_advisory_unlock(1)')
    t.match(await answering, { body: 'abc', isComplete: true })
    await until(() => app.db.status().checkedOut === 0)
  })

  t.test(`${kind}: whoever has read it to its end finds the row there`, async t => {
    const { app, port } = await serve(t, async ({ db }) => {
      await db.query(GOOD)
      return make(['a', 'b'])
    })
    t.match(await ask(port, '/'), { body: 'ab', isComplete: true })
    t.same(await ids(), [1])
    await until(() => app.db.status().checkedOut === 0)
  })

  t.test(`${kind}: a COMMIT that fails breaks it off before the last chunk`, async t => {
    const { app, port } = await serve(t, async ({ db }) => {
      await db.query(BAD)
      return make(['a', 'b', 'c'])
    })
    t.match(await ask(port, '/'), { body: 'ab', isComplete: false })
    t.same(await ids(), [])
    await until(() => app.db.status().checkedOut === 0)
  })

  t.test(`${kind}: if nothing was sent yet, it becomes an error without its headers`, async t => {
    for (const chunks of [[], ['only']]) {
      const { port } = await serve(t, async ({ db }, reply) => {
        await db.query(BAD)
        reply.code(201).header('location', '/1').header('set-cookie', 'a=1').type('text/csv')
        return make(chunks)
      })
      const { body, headers, isComplete, statusCode } = await ask(port, '/')
      t.match({ isComplete, statusCode }, { isComplete: true, statusCode: 500 })
      t.match(JSON.parse(body), { code: '23503' })
      t.equal(headers['content-type'], 'application/json; charset=utf-8')
      t.match(headers, { location: undefined, 'set-cookie': undefined })
    }
  })

  t.test(`${kind}: what it does to the database while it is read is part of it`, async t => {
    const { port } = await serve(t, request => {
      async function* rows() {
        yield 'first'
        await request.db.query(GOOD)
        yield 'second'
      }
      return make(rows())
    })
    t.match(await ask(port, '/'), { body: 'firstsecond', isComplete: true })
    t.same(await ids(), [1])
  })

  t.test(`${kind}: one that fails in the middle is rolled back`, async t => {
    const { app, port } = await serve(t, async ({ db }) => {
      await db.query(GOOD)
      async function* rows() {
        yield 'a'
        await db.query('select 1')
        yield 'b'
        throw new Error('in the middle')
      }
      return make(rows())
    })
    t.match(await ask(port, '/'), { isComplete: false })
    await until(() => app.db.status().checkedOut === 0)
    t.equal(app.db.status().size, 1, 'its client was not thrown away for it')
    t.same(await ids(), [])
  })

  t.test(
    `X53: ${kind}: a client that leaves in the middle of it gets nothing committed`,
    async t => {
      const { app, port } = await serve(t, async ({ db }, reply) => {
        await db.query(GOOD)
        const isClosed = new Promise(resolve => reply.raw.once('close', resolve))
        async function* rows() {
          yield 'a'.repeat(1000)
          yield 'b'
          await isClosed
          yield 'c'
        }
        return make(rows())
      })
      let leave = () => {}
      const answering = ask(port, '/', {
        onSent: how => {
          leave = how
        },
        onBody: () => leave()
      })
      t.match(await answering, { isComplete: false })
      await until(() => app.db.status().checkedOut === 0)
      t.equal(app.db.status().size, 1, 'its client was not thrown away for it')
      t.same(await ids(), [])
    }
  )
}

t.test('a Response is committed or rolled back by its own status', async t => {
  const { port } = await serve(t, async ({ db, query }) => {
    const { id, status } = query as { id: string; status: string }
    await db.query('insert into entries values ($1)', [id])
    const body = status.startsWith('2') ? null : 'failed'
    return new Response(body, { status: Number(status) })
  })
  t.equal((await ask(port, '/?id=1&status=500')).statusCode, 500)
  t.equal((await ask(port, '/?id=2&status=204')).statusCode, 204)
  t.equal((await ask(port, '/?id=3&status=404')).statusCode, 404)
  t.equal((await ask(port, '/?id=4&status=200')).statusCode, 200)
  t.same(await ids(), [2, 4])
})

t.test('a stream with an error status is sent, and rolled back before', async t => {
  const { port } = await serve(t, async ({ db }, reply) => {
    await db.query(GOOD)
    return reply.code(422).send(Readable.from(['what ', 'is wrong']))
  })
  t.match(await ask(port, '/'), { statusCode: 422, body: 'what is wrong', isComplete: true })
  t.same(await ids(), [])
})

t.test('HEAD on a route that streams is committed, and answered', async t => {
  const { app, port } = await serve(
    t,
    async ({ db }) => {
      await db.query(GOOD)
      return Readable.from(['a', 'b'])
    },
    'GET'
  )
  t.match(await ask(port, '/', { method: 'HEAD' }), { statusCode: 200, body: '' })
  await until(() => app.db.status().checkedOut === 0)
  t.same(await ids(), [1])
})

t.test(
  'a stream that is destroyed without an error does not leave the client waiting',
  { timeout: 30_000 },
  async t => {
    const { app, port } = await serve(t, async ({ db }) => {
      await db.query(GOOD)
      const stream = new PassThrough()
      stream.write('a')
      stream.write('b')
      setImmediate(() => setImmediate(() => stream.destroy()))
      return stream
    })
    t.match(await ask(port, '/').catch(() => ({ isComplete: false })), { isComplete: false })
    await until(() => app.db.status().checkedOut === 0)
    t.same(await ids(), [])
  }
)

for (const [kind, make] of Object.entries(KINDS)) {
  if (kind === 'a Response') continue // It takes no body for this status.
  t.test(`no content and ${kind}: it is committed before it is answered`, async t => {
    const { port } = await serve(t, async ({ db }, reply) => {
      await db.query(GOOD)
      return reply.code(204).send(make(['a', 'b']))
    })
    t.match(await ask(port, '/'), { statusCode: 204, body: '', isComplete: true })
    t.same(await ids(), [1])

    const { port: refused } = await serve(t, async ({ db }, reply) => {
      await db.query('insert into entries values (2, 99)')
      return reply.code(204).send(make(['a', 'b']))
    })
    t.match(await ask(refused, '/'), { statusCode: 500, isComplete: true })
    t.same(await ids(), [1])
  })
}

t.test('no content and a stream: what it does to the database is part of it', async t => {
  const { port } = await serve(t, (request, reply) => {
    async function* rows() {
      yield 'first'
      await request.db.query(GOOD)
      yield 'second'
    }
    return reply.code(204).send(Readable.from(rows()))
  })
  t.match(await ask(port, '/'), { statusCode: 204, isComplete: true })
  t.same(await ids(), [1])
})
