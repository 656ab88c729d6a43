import t from 'tap'
import { OverloadedError, PoolTimeoutError } from '../../src/errors.js'
import { settle } from '../fixtures/fake-clock.js'
import { buildPool, start, startMany, takeMany } from '../fixtures/fake-pool.js'

t.test('who could not be served before its deadline is refused when it arrives', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1 })
  const checkouts = startMany(pool, 60)
  await settle()
  for (const checkout of checkouts.slice(0, 30)) {
    await clock.advance(100)
    pool.checkin(checkout.value)
    await settle()
  }
  t.equal(pool.status().waiting, 29)
  await t.rejects(pool.checkout({ deadline: clock.now() + 2000 }), OverloadedError)
  const inTime = start(pool, { deadline: clock.now() + 4000 })
  await settle()
  t.equal(inTime.state, 'pending')
  for (const checkout of checkouts.slice(30)) {
    pool.checkin(checkout.value)
    await settle()
  }
  pool.checkin(inTime.value)
})

t.test('as long as nobody knows the pace, everybody may wait', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1 })
  const [held] = await takeMany(pool, 1)
  const waiting = startMany(pool, 100)
  const brief = start(pool, { deadline: clock.now() + 1 })
  await settle()
  t.equal(brief.state, 'pending')
  await clock.advance(1)
  t.equal(brief.state, 'rejected')
  pool.checkin(held!)
  for (const checkout of waiting) {
    await settle()
    pool.checkin(checkout.value)
  }
})

t.test('places that are still to be opened count as served', async t => {
  const { pool, server } = buildPool(t, { poolSize: 3, maxWaiting: 1 })
  server.reply = 'hang'
  const checkouts = startMany(pool, 4)
  await settle()
  for (const { state } of checkouts) t.equal(state, 'pending')
  await t.rejects(pool.checkout(), OverloadedError)
  server.reply = 'ok'
  for (const attempt of server.hanging.splice(0)) attempt.succeed()
  for (const checkout of checkouts) {
    await settle()
    pool.checkin(checkout.value)
  }
})

t.test('who comes after its own deadline is late, whatever the others do', async t => {
  const { pool, clock } = buildPool(t, { poolSize: 1 })
  const [held] = await takeMany(pool, 1)
  const late = start(pool, { deadline: clock.now() - 5 })
  await clock.advance(0)
  t.ok(late.error instanceof PoolTimeoutError)
  pool.checkin(held!)
})
