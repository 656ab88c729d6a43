import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from './fixtures/app.js'
import { http1, http2c } from './fixtures/http-transports.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(
  'create table entries (id int primary key, ref int references entries deferrable initially deferred)'
)

async function* chunks(isFailing: boolean) {
  yield 'a'
  yield 'b'
  if (isFailing) throw new Error('in the middle')
}

function addRoutes(app: FastifyInstance): void {
  const kinds = {
    stream: (isFailing: boolean) => Readable.from(chunks(isFailing)),
    web: (isFailing: boolean) =>
      Readable.toWeb(Readable.from(chunks(isFailing)).map(text => Buffer.from(text)))
  }
  for (const [kind, make] of Object.entries(kinds)) {
    app.post<{ Params: { end: string } }>(`/${kind}/:end`, async ({ db, params }, reply) => {
      await db.query('select 1')
      return reply.send(make(params.end === 'fails'))
    })
    const route = { config: { db: { transaction: true } } }
    app.post(`/${kind}/uncommitted`, route, async ({ db }, reply) => {
      await db.query('insert into entries values (1, 99)')
      return reply.send(make(false))
    })
  }
}

for (const [way, { reach, server }] of Object.entries({
  'HTTP/1.1': { reach: http1, server: {} },
  'HTTP/2': { reach: http2c, server: { http2: true } }
})) {
  t.test(`${way}: what a reply of a stream lacks, its client can tell`, async t => {
    const app = await buildApp(t, { url: postgres.url }, addRoutes, server)
    const transport = await reach(app)
    for (const kind of ['stream', 'web']) {
      const ask = (end: string) => transport.ask(`/${kind}/${end}`, { method: 'POST' }).seen
      t.match(await ask('ends'), { body: 'ab', isComplete: true })
      t.match(await ask('fails'), { statusCode: 200, isComplete: false })
      t.match(await ask('uncommitted'), { statusCode: 200, body: 'a', isComplete: false })
    }
    await transport.close()
  })
}
