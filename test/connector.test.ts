import t from 'tap'
import { named } from './fixtures/app.js'
import { openEngine, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'

const postgres = await startPostgres(t)

const FRESH = { pool_size: 1, max_overflow: 0 }

t.test('X43: an outage is told of once, and its end once', async t => {
  const proxy = await startProxy(t, postgres)
  const { engine, log } = openEngine(t, proxy.url(postgres.url), { recovery_timeout: 1 })
  proxy.refuse()
  t.match(engine.status(), { state: 'up', lastError: undefined })
  for (let round = 0; round < 3; round += 1) {
    await t.rejects(engine.query('select 1'), { code: 'FST_DB_UNAVAILABLE' })
  }
  t.match(engine.status(), {
    state: 'down',
    lastError: { code: 'ECONNREFUSED', at: /^\d{4}-.*Z$/ }
  })
  await proxy.accept()
  await until(() => engine.status().state === 'up')
  t.ok(await servedBy(engine))
  engine.invalidate()
  t.ok(await servedBy(engine))
  t.equal(engine.status().state, 'up')
  const lines = log.filter(({ message }) => /reach/.test(message))
  t.match(lines, [
    { level: 'warn', fields: { err: { code: 'ECONNREFUSED' } } },
    { level: 'info', fields: { durationMs: Number } }
  ])
  t.equal(lines.length, 2)
})

t.test('E24 E25 X32 X33: what refuses us is told as what it is', async t => {
  const url = new URL(postgres.url)
  url.password = 'wrong'
  const { engine: wrong } = openEngine(t, url.href)
  await t.rejects(wrong.query('select 1'), {
    code: 'FST_DB_MISCONFIGURED',
    statusCode: 500,
    cause: { code: '28P01' }
  })
  url.href = postgres.url
  url.pathname = 'nowhere'
  const { engine: nowhere } = openEngine(t, url.href)
  await t.rejects(nowhere.query('select 1'), { cause: { code: '3D000' }, statusCode: 500 })
  for (const engine of [wrong, nowhere]) {
    t.match(engine.status(), { size: 0, generation: 0, counters: { connectFailures: 1 } })
  }
})

t.test(
  'R44 X14: a connect listener that fails has the checkout fail, and leaves no session',
  async t => {
    const { engine } = openEngine(t, named(postgres.url, 'listener'), FRESH)
    let calls = 0
    const remove = engine.on('connect', async ({ client }) => {
      calls += 1
      await client.query('select * from no_such_table')
    })
    const failed = { code: 'FST_DB_LISTENER', statusCode: 500, cause: { code: '42P01' } }
    await t.rejects(engine.query('select 1'), failed)
    await t.rejects(engine.query('select 1'), failed)
    t.equal(engine.status().state, 'up', 'that says nothing about the database')
    t.equal(calls, 2, 'it runs for each client')
    while ((await postgres.backends({ applicationName: 'listener' })).length > 0);
    t.match(engine.status(), { size: 0, checkedOut: 0, connecting: 0, waiting: 0 })
    remove()
    t.ok(await servedBy(engine))
  }
)

t.test('R45: a connect listener whose session is killed has the checkout fail cleanly', async t => {
  const { engine } = openEngine(t, postgres.url, FRESH)
  const remove = engine.on('connect', async ({ client }) => {
    await client.query('select pg_terminate_backend(pg_backend_pid())')
  })
  await t.rejects(engine.query('select 1'), { code: /^FST_DB_/, statusCode: 503 })
  t.match(engine.status(), { size: 0, checkedOut: 0, connecting: 0, waiting: 0 })
  remove()
  await until(() => engine.status().state === 'up')
  t.ok(await servedBy(engine))
})

t.test(
  'X16: whoever waits behind a connect that fails gets the next one, not the failure',
  async t => {
    const { engine } = openEngine(t, postgres.url, FRESH)
    let calls = 0
    engine.on('connect', () => {
      calls += 1
      if (calls === 1) throw new Error('only the first')
    })
    const outcomes = await Promise.allSettled([
      engine.query('select 1 x'),
      engine.query('select 2 x')
    ])
    t.match(outcomes, [
      { reason: { cause: { message: 'only the first' } } },
      { value: { rows: [{ x: 2 }] } }
    ])
  }
)

t.test('X08: a connect listener that hangs is cut off with the attempt', async t => {
  const { engine } = openEngine(t, named(postgres.url, 'hangs'), {
    ...FRESH,
    connect_timeout: 1,
    recovery_timeout: 0
  })
  const remove = engine.on('connect', () => new Promise<never>(() => {}))
  await t.rejects(engine.query('select 1'), { code: 'FST_DB_UNAVAILABLE' })
  t.match(engine.status(), { size: 0, lastError: { code: 'ETIMEDOUT' } })
  while ((await postgres.backends({ applicationName: 'hangs' })).length > 0);
  remove()
  await until(() => engine.status().state === 'up')
  t.ok(await servedBy(engine))
})

t.test(
  'R21 P21 P22 P23 P24 P27 P44 A08 E35 E36: the first client is prepared once, before any other is lent',
  async t => {
    const { engine } = openEngine(t, postgres.url, { pool_size: 5 })
    const calls: string[] = []
    engine.on('first_connect', async ({ client }) => {
      await client.query('select 1')
      calls.push('first')
    })
    engine.on('connect', () => calls.push('connect'))
    const connections = await Promise.all(Array.from({ length: 5 }, () => engine.connect()))
    t.same(calls, ['first', ...Array(5).fill('connect')])
    for (const connection of connections) connection.release()
    engine.dispose()
    t.ok(await servedBy(engine))
    t.equal(calls.filter(call => call === 'first').length, 1, 'not again after dispose()')
  }
)

t.test(
  'R22: a preparation of the first client that fails is tried again, until it succeeds',
  async t => {
    const { engine } = openEngine(t, postgres.url, FRESH)
    let calls = 0
    engine.on('first_connect', () => {
      calls += 1
      if (calls < 3) throw new Error('not yet')
    })
    await t.rejects(engine.query('select 1'), {
      code: 'FST_DB_LISTENER',
      cause: { message: 'not yet' }
    })
    await t.rejects(engine.query('select 1'), {
      code: 'FST_DB_LISTENER',
      cause: { message: 'not yet' }
    })
    t.equal(engine.status().size, 0)
    t.ok(await servedBy(engine))
    engine.invalidate()
    t.ok(await servedBy(engine))
    t.equal(calls, 3)
  }
)

t.test(
  'a first client that hangs in its preparation does not hang the others for ever',
  async t => {
    const { engine } = openEngine(t, postgres.url, {
      pool_size: 2,
      connect_timeout: 1,
      recovery_timeout: 0
    })
    let isFirst = true
    engine.on('first_connect', () => {
      if (!isFirst) return
      isFirst = false
      return new Promise<never>(() => {})
    })
    await t.rejects(engine.query('select 1'), { code: 'FST_DB_UNAVAILABLE' })
    await until(() => engine.status().state === 'up')
    t.ok(await servedBy(engine), 'the next one prepares anew')
  }
)

t.test('E33: the client is lent idle, whatever its listeners did', async t => {
  const { engine } = openEngine(t, postgres.url)
  engine.on('connect', async ({ client }) => {
    await client.query('begin')
    await client.query('select 1')
  })
  await engine.query('create table written (id int)')
  t.equal((await postgres.admin("select to_regclass('written') x"))[0]?.x, 'written')
})

t.test('E31: a mistake in the options of the driver stays one, and is no outage', async t => {
  const password = () => {
    throw new TypeError('a bug in the token function')
  }
  const url = new URL(postgres.url)
  url.password = ''
  const asked: unknown[] = []
  const { engine } = openEngine(
    t,
    url.href,
    { connect_args: { password } },
    { isDisconnect: error => void asked.push(error) }
  )
  await t.rejects(engine.query('select 1'), { message: 'a bug in the token function' })
  t.same(asked, [])
  t.equal(engine.status().size, 0)
})

t.test('a first client that fails in its preparation takes no other with it', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 3 })
  let calls = 0
  engine.on('first_connect', async ({ client }) => {
    calls += 1
    if (calls === 1) await client.query('select pg_terminate_backend(pg_backend_pid())')
  })
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => engine.connect()))
  t.equal(
    outcomes.filter(({ status }) => status === 'rejected').length,
    0,
    'they wait for the next'
  )
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value.release()
  t.equal(calls, 2)
})
