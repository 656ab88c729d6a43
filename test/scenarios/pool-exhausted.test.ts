import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

const ONE = { pool_size: 1, max_overflow: 0 }

t.test('X49 P48 A10: no connection within pool_timeout is a 503 with Retry-After', async t => {
  const app = await buildApp(t, {
    url: postgres.url,
    engineOptions: { ...ONE, pool_timeout: 1 }
  })
  await using held = await app.db.connect()
  await held.query('select 1')
  const response = await app.inject('/pid')
  t.equal(response.statusCode, 503)
  t.equal(response.json().code, 'FST_DB_POOL_TIMEOUT')
  t.equal(response.headers['retry-after'], '1')
  held.release()
  t.equal((await app.inject('/pid')).statusCode, 200)
})

t.test('A11: pool_timeout 0 does not wait for a client in use, and still opens one', async t => {
  const app = await buildApp(t, { url: postgres.url, engineOptions: { ...ONE, pool_timeout: 0 } })
  await using held = await app.db.connect()
  await held.query('select 1')
  const response = await app.inject('/pid')
  t.equal(response.json().code, 'FST_DB_POOL_TIMEOUT')
  held.release()
  t.equal((await app.inject('/pid')).statusCode, 200)
})

t.test('more than pool_max_waiting are refused at once, the others served in order', async t => {
  const app = await buildApp(t, {
    url: postgres.url,
    engineOptions: { ...ONE, pool_max_waiting: 2 }
  })
  const held = await app.db.connect()
  const order: number[] = []
  const waiting = [1, 2].map(async number => {
    const connection = await app.db.connect()
    order.push(number)
    connection.release()
  })
  await t.rejects(app.db.connect(), { code: 'FST_DB_OVERLOADED', statusCode: 503 })
  held.release()
  await Promise.all(waiting)
  t.same(order, [1, 2])
})

t.test('X18: a waiter whose signal aborts leaves the queue and no slot is lost', async t => {
  const app = await buildApp(t, { url: postgres.url, engineOptions: ONE })
  const held = await app.db.connect()
  const controller = new AbortController()
  const waiter = app.db.connect({ signal: controller.signal })
  controller.abort(new Error('gone'))
  await t.rejects(waiter, { message: 'gone' })
  t.equal(app.db.status().waiting, 0)
  held.release()
  t.equal((await app.inject('/pid')).statusCode, 200)
})
