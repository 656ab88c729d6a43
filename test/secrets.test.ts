import { inspect } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from './fixtures/app.js'
import { SECRET_PARAMETER } from './fixtures/killed.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
const password = new URL(postgres.url).password
const SLEEPING = { where: "query like '%pg_sleep(600)%' and state = 'active'" }

/** All that an operator or a client may get to see of what happens, as text. */
class Seen {
  readonly texts: string[] = []

  add(...values: unknown[]): void {
    for (const value of values) this.texts.push(inspect(value, { depth: 12 }), inOneLine(value))
  }

  /** What must not be there, found. */
  tells(...secrets: string[]): string[] {
    return this.texts.filter(text => secrets.some(secret => text.includes(secret)))
  }
}

function inOneLine(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return ''
  }
}

const EVENTS = [
  'connect',
  'checkout',
  'checkin',
  'invalidate',
  'generation',
  'close',
  'replay'
] as const

async function watched(
  t: Parameters<typeof buildApp>[0],
  url: string,
  seen: Seen,
  options: { hide_parameters?: boolean } = {}
) {
  const echo = { echo: 'debug', echo_pool: 'debug', record_queries: true } as const
  const engineOptions = { ...echo, ...options }
  const stream = { write: (line: string) => seen.texts.push(line) }
  const app = await buildApp(t, { url, engineOptions }, app => addRoutes(app, seen), {
    logger: { level: 'trace', stream }
  })
  for (const name of EVENTS) app.db.on(name, event => seen.add(event))
  app.db.on('handle_error', context => seen.add(context))
  return app
}

function addRoutes(app: FastifyInstance, seen: Seen): void {
  app.get('/', async request => {
    await request.db.query('select $1::text', [SECRET_PARAMETER])
    seen.add(request.db, request.db.recordedQueries, app.db, app.db.status(), app.db.pool)
    seen.add(await app.db.pool.connect().then(client => [client, client.release()]))
    seen.add(app.printRoutes(), app.printPlugins())
    return {}
  })
  app.get('/sleep', request =>
    request.db.query('select pg_sleep(600), $1::text', [SECRET_PARAMETER])
  )
  app.get('/fails', request => request.db.query('select 1 / $1::text::int', ['0']))
}

t.test(
  'no password and no parameter in a log, an error, an event, a body or inspect()',
  async t => {
    const seen = new Seen()
    const app = await watched(t, postgres.url, seen)
    seen.add((await app.inject('/')).body, (await app.inject('/fails')).body)
    const running = app.inject('/sleep')
    await Promise.race([running, postgres.untilBackends(SLEEPING).catch(() => {})])
    await postgres.terminateBackends(SLEEPING)
    const lost = await running
    t.equal(lost.statusCode, 503)
    t.notMatch(lost.body, /pg_sleep|select/)
    seen.add(lost.body, lost.headers)
    app.db.invalidate(new Error('by hand'))
    await app.close()
    t.ok(seen.tells('pg_sleep').length > 0, 'there was a lot to see')
    t.same(seen.tells(password, SECRET_PARAMETER, postgres.url), [])
  }
)

t.test('nor where the password is refused, or the server is away', async t => {
  const refused = new URL(postgres.url)
  refused.password = 'hunter2-refused'
  const away = new URL('postgres://somebody:hunter2-away@127.0.0.1:1/nowhere')
  for (const { href } of [refused, away]) {
    const seen = new Seen()
    const app = await watched(t, href, seen)
    const response = await app.inject('/fails')
    t.match(response.json().code, /^FST_DB_(MISCONFIGURED|UNAVAILABLE)$/)
    seen.add(response.body, response.headers, app.db, app.db.status(), app.db.pool)
    seen.add(await app.db.query('select 1').catch(error => error))
    seen.add(await app.db.pool.connect().catch(error => error))
    seen.add(await app.db.ping().catch(error => error))
    t.same(seen.tells('hunter2', href), [])
  }
})

t.test('parameters are there for whoever asks for them', async t => {
  const seen = new Seen()
  const app = await watched(t, postgres.url, seen, { hide_parameters: false })
  await app.inject('/')
  t.ok(seen.tells(SECRET_PARAMETER).length > 0)
  t.same(seen.tells(password), [])
})
