import { createRequire } from 'node:module'
import * as api from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
import t, { type Test } from 'tap'
import type { MetricsApi } from '../src/meter.js'
import { findMeter, Telemetry } from '../src/telemetry.js'
import { buildApp } from './fixtures/app.js'
import { openEngine, requestOf, until } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin('create table people (name text primary key)')
const { host, port } = postgres
const POOL = { 'db.client.connection.pool.name': `${host}:${port}/postgres` }
const SERVER = {
  'db.system.name': 'postgresql',
  'db.namespace': 'postgres',
  'server.address': host,
  'server.port': port
}
const ONE = { pool_size: 1, max_overflow: 0 }

/** The application's OpenTelemetry, set up for one test; gives what it has exported by then. */
function setUp(t: Pick<Test, 'teardown'>) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e6 })
  const provider = new MeterProvider({ readers: [reader] })
  api.metrics.setGlobalMeterProvider(provider)
  t.teardown(async () => {
    api.metrics.disable()
    await provider.shutdown()
  })
  return async () => {
    exporter.reset()
    await provider.forceFlush()
    const metrics = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(({ metrics }) => metrics)
    const points = (name: string) => {
      const metric = metrics.find(({ descriptor }) => descriptor.name === name)
      return (metric?.dataPoints ?? []) as { attributes: object; value: unknown }[]
    }
    return { metrics, points }
  }
}

/** Of a histogram: how often, with which attributes. */
function counts(points: { attributes: object; value: unknown }[]) {
  return points.map(({ attributes, value }) => ({
    ...attributes,
    count: (value as { count: number }).count
  }))
}

t.test('the state of the pool, by the names of the conventions', async t => {
  const read = setUp(t)
  const { engine } = openEngine(t, postgres.url, { pool_size: 2, max_overflow: 1 })
  const [held, other] = [await engine.connect(), await engine.connect()]
  other.release()
  await until(() => engine.status().idle === 1)
  const { metrics, points } = await read()
  const inState = (state: string) => ({ ...POOL, 'db.client.connection.state': state })
  t.match(points('db.client.connection.count'), [
    { attributes: inState('idle'), value: 1 },
    { attributes: inState('used'), value: 1 }
  ])
  const values = { max: 3, 'idle.max': 2, 'idle.min': 0, pending_requests: 0, timeouts: 0 }
  for (const [name, value] of Object.entries(values)) {
    t.match(points(`db.client.connection.${name}`), [{ attributes: POOL, value }], name)
  }
  t.match(counts(points('db.client.connection.create_time')), [{ ...POOL, count: 2 }])
  t.match(counts(points('db.client.connection.wait_time')), [{ ...POOL, count: 2 }])
  t.match(counts(points('db.client.connection.use_time')), [{ ...POOL, count: 1 }])
  for (const { descriptor } of metrics) t.match(descriptor.unit, /^(s|\{[a-z]+\})$/)
  held.release()
})

t.test('who waits, and who has waited too long', async t => {
  const read = setUp(t)
  const { engine } = openEngine(t, postgres.url, { ...ONE, pool_timeout: 2 })
  const held = await engine.connect()
  const late = t.rejects(engine.query('select 1'), { code: 'FST_DB_POOL_TIMEOUT' })
  t.match((await read()).points('db.client.connection.pending_requests'), [{ value: 1 }])
  await late
  const { points } = await read()
  t.match(points('db.client.connection.pending_requests'), [{ value: 0 }])
  t.match(points('db.client.connection.timeouts'), [{ attributes: POOL, value: 1 }])
  t.match(counts(points('db.client.connection.wait_time')), [{ count: 1 }], 'of those who got one')
  held.release()
})

t.test('how long statements take, by operation and failure', async t => {
  const read = setUp(t)
  const { engine } = openEngine(t, postgres.url, ONE)
  const insert = { text: 'insert into people values ($1)', values: ['hunter2'] }
  await engine.query(insert)
  await t.rejects(engine.query(insert), { code: '23505' })
  await engine.transaction(async tx => {
    await tx.query(' \n select $1::text', ['swordfish'])
    await tx.batch(["select 'correct horse'", 'select 2'])
  })
  await t.rejects(engine.query("nonsense 'battery staple'"), { code: '42601' })
  const db = requestOf(engine)
  t.teardown(() => db.end())
  const stop = new AbortController()
  stop.abort()
  await t.rejects(db.query({ text: 'select 1', signal: stop.signal }), { name: 'AbortError' })

  const { metrics, points } = await read()
  const failed = (code: string) => ({ 'error.type': code, 'db.response.status_code': code })
  t.strictSame(counts(points('db.client.operation.duration')), [
    { ...SERVER, 'db.operation.name': 'INSERT', count: 1 },
    { ...SERVER, 'db.operation.name': 'INSERT', ...failed('23505'), count: 1 },
    { ...SERVER, 'db.operation.name': 'SELECT', count: 1 },
    { ...SERVER, 'db.operation.name': 'BATCH', 'db.operation.batch.size': 2, count: 1 },
    { ...SERVER, ...failed('42601'), count: 1 },
    { ...SERVER, 'db.operation.name': 'SELECT', 'error.type': 'AbortError', count: 1 }
  ])
  const told = JSON.stringify(metrics)
  t.notMatch(told, /hunter2|swordfish|horse|staple|people|nonsense/)
  t.notMatch(told, decodeURIComponent(new URL(postgres.url).password))
})

t.test('an error of ours goes by its code, and by the SQLSTATE that is behind it', async t => {
  const read = setUp(t)
  const { engine } = openEngine(t, postgres.url, ONE)
  await t.rejects(engine.query('select pg_terminate_backend(pg_backend_pid())'))
  const [point] = counts((await read()).points('db.client.operation.duration'))
  t.match(point, { 'error.type': /^FST_DB_/, 'db.response.status_code': '57P01' })
})

t.test('requests are measured, and databases told from each other by their names', async t => {
  const read = setUp(t)
  const options = { url: postgres.url, name: 'reports', engineOptions: ONE }
  const app = await buildApp(t, options, app => {
    app.get('/', async request => {
      const db = Reflect.get(request.db, 'reports') as typeof request.db
      return (await db.query('select 1 x')).rows
    })
  })
  t.equal((await app.inject('/')).statusCode, 200)
  const { points } = await read()
  t.match(counts(points('db.client.connection.use_time')), [
    { 'db.client.connection.pool.name': 'reports', count: 1 }
  ])
})

t.test('a pool that is closed is asked no more', async t => {
  const read = setUp(t)
  const meter = findMeter()
  if (meter === undefined) throw new Error('No meter')
  const { engine } = openEngine(t, postgres.url, ONE)
  let asked = 0
  const subject = { host, port, database: 'postgres', name: undefined, limit: 1, kept: 1 }
  const telemetry = new Telemetry(meter, subject)
  telemetry.watch(() => {
    asked += 1
    return engine.status()
  })
  await read()
  t.equal(asked, 1)
  telemetry.stop()
  await read()
  t.equal(asked, 1)
})

t.test('a pool without a limit has no maximum', async t => {
  const read = setUp(t)
  const { engine } = openEngine(t, postgres.url, { pool_size: 0, max_overflow: -1 })
  await engine.query('select 1')
  const { points } = await read()
  t.strictSame(points('db.client.connection.max'), [])
  t.strictSame(points('db.client.connection.idle.max'), [])
})

t.test('without OpenTelemetry, or with one that is not set up, nothing is measured', t => {
  t.equal(findMeter(), undefined)
  const absent = () => createRequire(import.meta.url)('@opentelemetry/not-there')
  t.equal(findMeter(absent), undefined)
  t.end()
})

t.test('the installed @opentelemetry/api has what is used of it', t => {
  const installed: MetricsApi = api as unknown as MetricsApi
  const meter = installed.createNoopMeter()
  const observable = meter.createObservableCounter('a', {})
  const callback = () => {}
  meter.addBatchObservableCallback(callback, [observable])
  meter.removeBatchObservableCallback(callback, [observable])
  meter.createObservableUpDownCounter('b', {})
  meter.createHistogram('c', {}).record(1, {})
  t.equal(installed.metrics.getMeter('d'), meter)
  t.end()
})
