import t from 'tap'
import { named } from './fixtures/app.js'
import { openEngine, requestOf, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)

const ONE = { pool_size: 1, max_overflow: 0 }
const bug = new Error('a bug')

t.test(
  'a checkout listener that throws fails the checkout, and costs the client but no slot',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'checkout'), ONE)
    const pid = await servedBy(engine)
    const remove = engine.on('checkout', () => {
      throw bug
    })
    for (let round = 0; round < 5; round += 1) {
      await t.rejects(engine.connect(), { code: 'FST_DB_LISTENER', statusCode: 500, cause: bug })
    }
    await t.rejects(requestOf(engine).query('select 1'), { code: 'FST_DB_LISTENER' })
    t.match(engine.status(), { size: 0, checkedOut: 0, waiting: 0, generation: 0 })
    while ((await postgres.backends({ applicationName: 'checkout' })).length > 0);
    remove()
    t.not(await servedBy(engine), pid)
  }
)

t.test('one that says that the client is lost has the next one tried, three in all', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const lost = Object.assign(new Error('gone'), { code: 'ECONNRESET' })
  let calls = 0
  const remove = engine.on('checkout', () => {
    calls += 1
    throw lost
  })
  await t.rejects(engine.connect(), { code: /^FST_DB_/, statusCode: 503, cause: lost })
  t.equal(calls, 3)
  t.match(engine.status(), { size: 0, checkedOut: 0, waiting: 0 })
  remove()
  engine.on('checkout', () => {
    calls += 1
    if (calls === 4) throw lost
  })
  t.ok(await servedBy(engine))
  t.equal(calls, 5)
})

t.test('whoever waits is served though a listener fails the one before', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  let calls = 0
  engine.on('checkout', () => {
    calls += 1
    if (calls === 1) throw bug
  })
  const outcomes = await Promise.allSettled([
    engine.query('select 1 x'),
    engine.query('select 2 x')
  ])
  t.match(outcomes, [{ reason: { cause: bug } }, { value: { rows: [{ x: 2 }] } }])
})

t.test('X13: a reset listener that throws costs the client, in silence', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const reasons: unknown[] = []
  engine.on('close', ({ reason, error }) => reasons.push([reason, error]))
  const db = requestOf(engine)
  const pid = await servedBy(db)
  const remove = engine.on('reset', () => {
    throw bug
  })
  const waiting = engine.connect()
  db.release()
  const next = await waiting
  t.not(await servedBy(next), pid)
  t.same(reasons, [['reset', bug]])
  remove()
  next.release()
  await until(() => engine.status().idle === 1)
  db.end()
})

t.test(
  'T28 T29: a reset listener hears of each return, and whether a transaction was open',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const heard: boolean[] = []
    engine.on('reset', ({ inTransaction }) => void heard.push(inTransaction))
    await engine.query('select 1')
    await engine.query('begin')
    await engine.transaction(tx => tx.query('select 1'))
    await engine.query('select 1')
    t.same(heard.slice(0, 3), [false, true, false])
    await until(() => engine.status().idle === 1)
  }
)

t.test('X12: what other listeners throw or reject is reported, and changes nothing', async t => {
  const { engine, log } = openEngine(t, postgres.url, ONE)
  const events = [
    'checkin',
    'invalidate',
    'generation',
    'close',
    'soft_invalidate',
    'detach'
  ] as const
  for (const event of events) {
    engine.on(event, () => {
      throw bug
    })
    engine.on(event, () => Promise.reject(bug))
  }
  const db = requestOf(engine)
  await servedBy(db)
  db.invalidate(undefined, { soft: true })
  db.release()
  await servedBy(db)
  engine.invalidate()
  db.release()
  await servedBy(db)
  await db.detach()
  db.release()
  t.ok(await servedBy(engine))
  db.end()
  await new Promise(setImmediate)
  t.match(engine.status(), { size: 1, idle: 1, checkedOut: 0 })
  for (const event of events) {
    const lines = log.filter(({ fields }) => Reflect.get(fields, 'event') === event)
    t.ok(lines.length >= 2, event)
    t.match(
      lines,
      lines.map(() => ({ level: 'warn', fields: { err: bug } }))
    )
  }
})

t.test('X42: each replacement is told with its reason', async t => {
  const { engine } = openEngine(t, postgres.url, { ...ONE, pool_pre_ping_window: 0 })
  const told: unknown[] = []
  engine.on('invalidate', ({ client, reason }) =>
    told.push([Reflect.get(client, 'processID'), reason])
  )
  const pids: number[] = []
  const db = requestOf(engine)
  const serve = async () => pids.push(await servedBy(db))
  await serve()
  db.invalidate()
  await serve()
  db.invalidate(undefined, { soft: true })
  db.release()
  await serve()
  db.release()
  engine.invalidate()
  await serve()
  await postgres.terminateBackends({ pids: pids.slice(-1) })
  await db.query('select pg_sleep(0)').catch(() => {})
  t.same(
    told,
    ['user', 'soft', 'user', 'error'].map((reason, index) => [pids[index], reason])
  )
  db.end()
})

t.test(
  'a listener may use the engine: a checkout within a checkin does not lose its way',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const nested: Promise<unknown>[] = []
    engine.on('checkin', () => {
      if (nested.length < 3) nested.push(engine.query('select 1'))
    })
    await engine.query('select 1')
    await until(() => nested.length === 3)
    await Promise.all(nested)
    await until(() => engine.status().idle === 1)
    t.match(engine.status(), { size: 1, waiting: 0 })
  }
)

t.test(
  'P03 P67: what is noted of a client when it connects is there at each loan, and only of that one',
  async t => {
    const { engine } = openEngine(t, postgres.url, ONE)
    const notes = new WeakMap<object, number>()
    const found: (number | undefined)[] = []
    let connects = 0
    let isFailing = false
    engine.on('connect', ({ client }) => {
      if (isFailing) throw bug
      connects += 1
      notes.set(client, connects)
    })
    engine.on('checkout', ({ client }) => void found.push(notes.get(client)))
    await engine.query('select 1')
    await engine.query('select 1')
    engine.invalidate()
    isFailing = true
    await t.rejects(engine.query('select 1'), { code: 'FST_DB_LISTENER' })
    isFailing = false
    await engine.query('select 1')
    await engine.query('select 1')
    t.same(found, [1, 1, 2, 2])
  }
)

t.test(
  'P79 R14: without a reset of ours the listeners of it are told, but not for what is given up',
  async t => {
    const proxy = await startProxy(t, postgres)
    const statements = recordStatements(proxy)
    const { engine } = openEngine(t, proxy.url(postgres.url), {
      ...ONE,
      pool_reset_on_return: null,
      resolve_doubt: false,
      half_open_timeout: 0
    })
    const heard: boolean[] = []
    engine.on('reset', ({ inTransaction }) => void heard.push(inTransaction))
    const giveUps = {
      invalidated: (db: ReturnType<typeof requestOf>) => db.invalidate(),
      'softly invalidated': (db: ReturnType<typeof requestOf>) =>
        db.invalidate(undefined, { soft: true }),
      detached: (db: ReturnType<typeof requestOf>) => db.detach()
    }
    for (const [how, giveUp] of Object.entries(giveUps)) {
      const db = requestOf(engine)
      await db.query('begin')
      await giveUp(db)
      db.end()
      await until(() => engine.status().checkedOut === 0)
      t.same(heard, [], how)
    }
    await engine.query('select 1')
    await engine.query('begin')
    await until(() => engine.status().idle === 1)
    t.same(heard, [false, true])
    t.same(statements, ['begin', 'begin', 'begin', 'select 1', 'begin'], 'nothing is sent by us')
  }
)

t.test('P80 P81 P82: the listener is told first, then one ROLLBACK is sent, if any', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    ...ONE,
    resolve_doubt: false,
    half_open_timeout: 0
  })
  engine.on('reset', ({ inTransaction }) => void statements.push(`reset(${inTransaction})`))
  await engine.query('select 1')
  await engine.query('begin')
  const next = requestOf(engine)
  await next.query('select 2')
  next.end()
  await until(() => engine.status().idle === 1)
  t.same(statements, [
    'select 1',
    'reset(false)',
    'begin',
    'reset(true)',
    'ROLLBACK',
    'select 2',
    'reset(false)'
  ])
})

for (const event of ['connect', 'checkout'] as const) {
  t.test(`E18: who leaves within a ${event} listener has nothing sent for it`, async t => {
    const proxy = await startProxy(t, postgres)
    const statements = recordStatements(proxy)
    const { engine } = openEngine(t, proxy.url(postgres.url), ONE)
    const caller = new AbortController()
    const reason = new Error('the caller has left')
    engine.on(event, () => caller.abort(reason))
    const db = requestOf(engine)
    await t.rejects(db.query({ text: 'select 1', signal: caller.signal }), reason)
    db.end()
    await until(() => engine.status().checkedOut + engine.status().connecting === 0)
    t.notOk(statements.includes('select 1'))
    t.match(await engine.query('select 2 x'), { rows: [{ x: 2 }] }, 'and its place is free')
  })
}

t.test('P05: what a listener is told holds nothing that outlives the client', async t => {
  const { engine } = openEngine(t, postgres.url, ONE)
  const told: object[] = []
  for (const event of ['connect', 'checkout', 'reset', 'checkin', 'close'] as const) {
    engine.on(event, payload => void told.push(payload))
  }
  const ofClient = async () => {
    await engine.query('select 1')
    await until(() => engine.status().idle === 1)
    engine.invalidate()
    const objects = told
      .splice(0)
      .flatMap(payload => [payload, ...Object.values(payload)])
      .filter(value => typeof value === 'object' && value !== null)
    return new Set(objects)
  }
  const first = await ofClient()
  const second = await ofClient()
  t.ok(first.size > 5, 'a payload each, and the client')
  t.same(
    [...second].filter(object => first.has(object)),
    []
  )
})
