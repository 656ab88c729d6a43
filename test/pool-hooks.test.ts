import diagnosticsChannel from 'node:diagnostics_channel'
import t from 'tap'
import type { EventName } from '../src/events.js'
import { openEngine, servedBy, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

const EVENTS: EventName[] = [
  'first_connect',
  'connect',
  'checkout',
  'reset',
  'checkin',
  'soft_invalidate',
  'invalidate',
  'generation',
  'detach',
  'close'
]

function record(t: Parameters<typeof openEngine>[0]) {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const events: string[] = []
  for (const event of EVENTS) {
    engine.on(event, payload => {
      const reason = 'reason' in payload ? `(${payload.reason})` : ''
      events.push(`${event}${reason}`)
    })
  }
  return { engine, events }
}

t.test('P25 P30 P33 P34: first use and return, in order', async t => {
  const { engine, events } = record(t)
  const connection = await engine.connect()
  t.same(events, ['first_connect', 'connect', 'checkout'])
  connection.release()
  await servedBy(engine)
  await until(() => engine.status().checkedOut === 0)
  t.same(events.slice(3), ['reset', 'checkin', 'checkout', 'reset', 'checkin'])
})

t.test('P37 P38 X42: an invalidated client is closed, and its reason told', async t => {
  const { engine, events } = record(t)
  const connection = await engine.connect()
  const reason = new Error('on purpose')
  const told = new Promise(resolve => engine.on('invalidate', resolve))
  connection.invalidate(reason)
  t.match(await told, { reason: 'user', error: reason })
  t.same(events.slice(3), ['invalidate(user)', 'close(user)', 'checkin'])
})

t.test(
  'P35 P36: a soft invalidation is told with its cause, the client closed at its return',
  async t => {
    const { engine, events } = record(t)
    const connection = await engine.connect()
    const told = new Promise(resolve => engine.on('soft_invalidate', resolve))
    connection.invalidate(new Error('soon'), { soft: true })
    t.match(await told, { error: { message: 'soon' } })
    await connection.query('select 1')
    connection.release()
    t.same(events.slice(3), ['soft_invalidate', 'invalidate(soft)', 'close(soft)', 'checkin'])
  }
)

t.test('P19 P20: a detached client frees its place, and is closed at its return', async t => {
  const { engine, events } = record(t)
  const connection = await engine.connect()
  await connection.detach()
  await servedBy(engine)
  connection.release()
  t.ok(events.includes('detach'))
  t.equal(events.at(-1), 'close(detach)')
})

t.test('every event is published on its diagnostics channel', async t => {
  const published: string[] = []
  for (const event of EVENTS) {
    const name = `fastify-pg-engine:${event}`
    const listener = () => published.push(event)
    diagnosticsChannel.subscribe(name, listener)
    t.teardown(() => diagnosticsChannel.unsubscribe(name, listener))
  }
  const { engine } = openEngine(t, postgres.url)
  await engine.query('select 1')
  await until(() => engine.status().checkedOut === 0)
  t.same(published, ['first_connect', 'connect', 'checkout', 'reset', 'checkin'])
})

t.test('P68: a checkout listener fails the checkout with a coded error', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const off = engine.on('checkout', () => {
    throw new Error('not today')
  })
  await t.rejects(engine.query('select 1'), {
    code: 'FST_DB_LISTENER',
    cause: { message: 'not today' }
  })
  off()
  await engine.query('select 1')
  t.match(engine.status(), { size: 1, checkedOut: 0 })
})
