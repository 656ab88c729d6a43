import t from 'tap'
import type { DisconnectContext } from '../src/judge.js'
import { openEngine, requestOf, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)

const lost = { code: /^FST_DB_(DISCONNECTED|OUTCOME_UNKNOWN|PARTLY_APPLIED)$/, statusCode: 503 }
/** An error of SQL in a statement that nobody would run again by himself. */
const FAILING = "do $$ begin raise sqlstate 'ZX001' using message = 'closed the connection'; end $$"
const PINGED = { pool_size: 1, max_overflow: 0, pool_pre_ping_window: 0 }

async function idlePids(engine: ReturnType<typeof openEngine>['engine']): Promise<number[]> {
  const connections = await Promise.all([1, 2, 3].map(() => engine.connect()))
  const pids = await Promise.all(connections.map(servedBy))
  for (const connection of connections) connection.release()
  return pids.sort()
}

/** The next ping of this backend is answered with its last words. */
async function dieAtPing(pid: number, ping: () => Promise<unknown>): Promise<unknown> {
  postgres.freeze(pid)
  await postgres.admin('select pg_terminate_backend($1)', [pid])
  const pinging = ping().catch((error: unknown) => error)
  postgres.thaw(pid)
  return pinging
}

t.test('X29 E10: an error of SQL is no disconnect, whatever it says', async t => {
  const { engine } = openEngine(t, postgres.url)
  const pids = await idlePids(engine)
  await t.rejects(engine.query(FAILING), { code: 'ZX001' })
  t.same(await idlePids(engine), pids)
  t.equal(engine.status().generation, 0)
})

t.test('E09 E12: a hook makes a disconnect of it, for every client of the generation', async t => {
  const { engine } = openEngine(
    t,
    postgres.url,
    {},
    { isDisconnect: error => Reflect.get(error as object, 'code') === 'ZX001' || undefined }
  )
  const pids = await idlePids(engine)
  await t.rejects(engine.query(FAILING), { ...lost, cause: { code: 'ZX001' } })
  t.equal(engine.status().generation, 1)
  t.notOk((await idlePids(engine)).some(pid => pids.includes(pid)))
})

t.test('E11 X41: a hook may say that it costs this one client only', async t => {
  const { engine } = openEngine(
    t,
    postgres.url,
    {},
    { isDisconnect: () => ({ disconnect: true, scope: 'client' }) }
  )
  const pids = await idlePids(engine)
  await t.rejects(engine.query(FAILING), lost)
  t.equal(engine.status().generation, 0)
  const after = await idlePids(engine)
  t.equal(after.filter(pid => pids.includes(pid)).length, 2)
})

t.test(
  'E10: a hook denies a disconnect; a session that is gone is replaced all the same',
  async t => {
    const { engine } = openEngine(t, postgres.url, {}, { isDisconnect: () => false })
    const db = requestOf(engine)
    const pid = await servedBy(db)
    const suicide = 'select pg_terminate_backend(pg_backend_pid())'
    await t.rejects(db.query(suicide), { code: '57P01', statusCode: undefined })
    t.equal(engine.status().generation, 0)
    t.not(await servedBy(db), pid)
    db.end()
  }
)

t.test('R38 X40: it is asked once for each failure, with the client still as it was', async t => {
  const asked: (DisconnectContext & { isDestroyed: unknown })[] = []
  const { engine } = openEngine(
    t,
    postgres.url,
    {},
    {
      isDisconnect: (_error, context) => {
        const { connection } = context.client as unknown as {
          connection: { stream: { destroyed: boolean } }
        }
        asked.push({ ...context, isDestroyed: connection.stream.destroyed })
        return true
      }
    }
  )
  const pid = await servedBy(engine)
  await t.rejects(engine.query(FAILING), lost)
  t.match(asked, [
    {
      phase: 'statement',
      client: { processID: pid },
      disconnect: false,
      scope: 'none',
      isDestroyed: false
    }
  ])
  t.equal(asked.length, 1)
})

t.test(
  'E06 E07 E23: it is not asked about mistakes of the program, nor about our own errors',
  async t => {
    const asked: unknown[] = []
    const { engine } = openEngine(
      t,
      postgres.url,
      {},
      {
        isDisconnect: error => {
          asked.push(error)
          return true
        }
      }
    )
    const db = requestOf(engine)
    const pid = await servedBy(db)
    for (const type of [TypeError, RangeError]) {
      const value = {
        toPostgres() {
          throw new type('a bug')
        }
      }
      await t.rejects(db.query('select $1', [value]), type)
    }
    await t.rejects(
      db.transaction(() => Promise.reject(new TypeError('of the handler'))),
      TypeError
    )
    t.equal(await servedBy(db), pid)
    db.end()
    await t.rejects(db.query('select 1'), { code: 'FST_DB_CONNECTION_CLOSED' })
    t.same(asked, [])
  }
)

t.test('a hook that throws, or answers nonsense, is reported and overrides nothing', async t => {
  const hooks = [
    () => {
      throw new Error('a bug in the hook')
    },
    () => 'perhaps' as never
  ]
  for (const isDisconnect of hooks) {
    const { engine, log } = openEngine(t, postgres.url, {}, { isDisconnect })
    await t.rejects(engine.query(FAILING), { code: 'ZX001' })
    t.match(log, [{ level: 'warn', message: /isDisconnect hook failed/ }])
    t.match(engine.status(), { size: 1, idle: 1, generation: 0 })
  }
})

t.test('R29 R30 R31: asked about a ping, a hook without an opinion changes nothing', async t => {
  const asked: DisconnectContext[] = []
  const isDisconnect = (_error: unknown, context: DisconnectContext) => {
    asked.push(context)
    return undefined
  }
  const { engine } = openEngine(t, postgres.url, PINGED, { isDisconnect })
  const pid = await servedBy(engine)
  t.not(await dieAtPing(pid, () => servedBy(engine)), pid)
  t.match(asked, [{ phase: 'ping', client: { processID: pid }, disconnect: true }])
  t.equal(asked.length, 1)
})

t.test('R04 R32: a hook may make more of a failed ping than we do', async t => {
  const phases: string[] = []
  const { engine } = openEngine(
    t,
    postgres.url,
    { ...PINGED, pool_pre_ping_timeout: 0.1 },
    {
      isDisconnect: (_error, { phase, scope }) => {
        phases.push(`${phase} ${scope}`)
        return { disconnect: true, scope: 'generation' }
      }
    }
  )
  const pid = await servedBy(engine)
  postgres.freeze(pid)
  t.not(await servedBy(engine), pid)
  t.same(phases, ['ping client'])
  t.equal(engine.status().generation, 1)
})

t.test(
  'R33 X40: a ping that a hook denies to be a disconnect fails the checkout, as it is',
  async t => {
    const phases: string[] = []
    const isDisconnect = (_error: unknown, { phase }: DisconnectContext) => {
      phases.push(phase)
      return phase === 'ping' ? false : undefined
    }
    const { engine } = openEngine(t, postgres.url, PINGED, { isDisconnect })
    const pid = await servedBy(engine)
    t.match(await dieAtPing(pid, () => engine.connect()), { code: '57P01' })
    t.same(phases, ['ping'], 'nor is it asked again as if the connect had failed')
    t.match(engine.status(), { size: 0, checkedOut: 0, generation: 0 })
    t.not(await servedBy(engine), pid)
  }
)

t.test('E25 E29 E32 E34: a failed connect can be called what it is not, both ways', async t => {
  const contexts: DisconnectContext[] = []
  const hook = (answer: boolean) => ({
    isDisconnect: (_error: unknown, context: DisconnectContext) => {
      contexts.push(context)
      return answer
    }
  })
  const proxy = await startProxy(t, postgres)
  proxy.refuse()
  const { engine: denied } = openEngine(t, proxy.url(postgres.url), {}, hook(false))
  await t.rejects(denied.query('select 1'), { code: 'ECONNREFUSED', statusCode: undefined })
  const url = new URL(postgres.url)
  url.pathname = 'nowhere'
  const { engine: claimed } = openEngine(t, url.href, { recovery_timeout: 0 }, hook(true))
  await t.rejects(claimed.query('select 1'), {
    code: 'FST_DB_UNAVAILABLE',
    cause: { code: '3D000' }
  })
  t.match(contexts, [
    { phase: 'connect', client: undefined, scope: 'none' },
    { phase: 'connect', client: undefined, scope: 'none' }
  ])
  t.equal(contexts.length, 2)
  t.equal(claimed.status().generation, 0)
})

t.test('E01: a listener to errors sees the original, ours and the statement', async t => {
  const { engine } = openEngine(t, postgres.url)
  const heard: unknown[] = []
  engine.on('handle_error', context => void heard.push(context))
  await t.rejects(engine.query('select 1/0'), { code: '22012' })
  const db = requestOf(engine)
  await postgres.terminateBackends({ pids: [await servedBy(db)] })
  await t.rejects(db.query(FAILING), lost)
  t.match(heard, [
    {
      original: { code: '22012' },
      error: { code: '22012' },
      phase: 'statement',
      statement: 'select 1/0'
    },
    { original: { code: '57P01' }, error: lost, phase: 'statement', statement: FAILING }
  ])
  t.equal(heard.length, 2)
  db.end()
})

t.test(
  'E02 E03 E17 A17: what it returns or throws takes the place of the error, the last word counts',
  async t => {
    const { engine, log } = openEngine(t, postgres.url)
    engine.on('handle_error', ({ error }) => new Error('mapped', { cause: error }))
    await t.rejects(engine.query('select 1/0'), { message: 'mapped', cause: { code: '22012' } })
    const remove = engine.on(
      'handle_error',
      ({ chained }) => new Error('again', { cause: chained })
    )
    await t.rejects(engine.query('select 1/0'), { message: 'again', cause: { message: 'mapped' } })
    remove()
    engine.on('handle_error', () => Promise.reject(new Error('a bug')))
    await t.rejects(engine.query('select 1/0'), { message: 'mapped' })
    t.match(log.at(-1), {
      level: 'warn',
      fields: { err: { message: 'a bug' }, event: 'handle_error' }
    })
    engine.on('handle_error', () => {
      throw new Error('thrown')
    })
    await t.rejects(engine.query('select 1/0'), { message: 'thrown' })
    t.match(engine.status(), { size: 1, idle: 1 })
  }
)
