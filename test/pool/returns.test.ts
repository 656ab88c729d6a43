import t from 'tap'
import { settle } from '../fixtures/fake-clock.js'
import { buildPool, takeMany } from '../fixtures/fake-pool.js'

t.test('what nobody has used is not reset when it is put back', async t => {
  const { pool } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!)
  await settle()
  const unused = pool.tryCheckout()
  const resets = lease!.client.calls.filter(call => call === 'reset').length
  pool.putBack(unused!)
  t.equal(lease!.client.calls.filter(call => call === 'reset').length, resets)
  t.match(pool.status(), { idle: 1, checkedOut: 0 })
})

t.test('a client that comes back to a closed pool is closed, used or not', async t => {
  const { pool, clock, server } = buildPool(t)
  const [lease, other] = await takeMany(pool, 2)
  pool.checkin(other!)
  await settle()
  const unused = pool.tryCheckout()
  const closed = pool.close(1000)
  pool.putBack(unused!)
  pool.checkin(lease!)
  await clock.advance(0)
  t.strictSame(server.closes, [1, 1])
  await closed
})

t.test('a second return of the same loan does nothing', async t => {
  const { events, pool } = buildPool(t)
  const [lease] = await takeMany(pool, 1)
  pool.checkin(lease!)
  pool.checkin(lease!)
  pool.putBack(lease!)
  await settle()
  t.equal(events.filter(event => event.startsWith('checkin')).length, 1)
  t.match(pool.status(), { size: 1, idle: 1 })
})
