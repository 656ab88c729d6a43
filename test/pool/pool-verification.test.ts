import t from 'tap'
import { Verification } from '../../src/pool/checkout.js'
import { PingTimeoutError } from '../../src/session-errors.js'
import { adminShutdown, idleSessionTimeout, refused } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, fillIdle, start, takeMany } from '../fixtures/fake-pool.js'

const pings = (calls: readonly string[]) => calls.filter(call => call === 'ping').length

t.test('a borrower who verifies gets an idle client as it is', async t => {
  const { pool } = buildPool(t, { isPrePing: true })
  const [client] = await fillIdle(pool, 1)
  const lease = await pool.checkout({ verification: new Verification() })
  t.equal(lease.client, client)
  t.equal(lease.isUnverified, true)
  t.equal(pings(client!.calls), 0)
  pool.checkin(lease)
})

t.test('one for whom nothing is to be verified is told so', async t => {
  const { pool } = buildPool(t, { isPrePing: true, window: 500 })
  const fresh = await pool.checkout({ verification: new Verification() })
  t.equal(fresh.isUnverified, false, 'connected for this checkout')
  pool.checkin(fresh)
  await settle()
  const heard = await pool.checkout({ verification: new Verification() })
  t.equal(heard.isUnverified, false, 'heard from within the window')
  pool.checkin(heard)
})

t.test('while the server is away the pool verifies all the same', async t => {
  const { pool, clock, server } = buildPool(t, { isPrePing: true })
  const [held] = await takeMany(pool, 1)
  server.reply = refused()
  const parked = start(pool, { verification: new Verification() })
  await settle()
  pool.checkin(held!)
  await settle()
  t.equal(pings(held!.client.calls), 1)
  t.equal(parked.value.isUnverified, false)
  pool.checkin(parked.value)
  server.reply = 'ok'
  await clock.advance(45)
})

t.test('a client found dead is replaced, and invalidates as a failed ping does', async t => {
  const { pool, events, server } = buildPool(t, { isPrePing: true })
  await fillIdle(pool, 2)
  const verification = new Verification()
  const lease = await pool.checkout({ verification })
  const verdict = pool.verificationFailed(lease, verification, adminShutdown())
  t.match(verdict, { failure: 'disconnect', scope: 'generation' })
  t.strictSame(server.closes, [1, 1])
  t.equal(pool.generation, 1)
  t.match(pool.status(), { size: 0, counters: { pingFailures: 1 } })
  t.ok(events.includes(`close ${lease.client.id} ping`))
  pool.checkin(lease)
  t.strictSame(server.closes, [1, 1], 'it was given back with that')
  await assertFullCapacity(pool, 2)
})

t.test('one lost session costs one client', async t => {
  const { pool, server } = buildPool(t, { isPrePing: true })
  await fillIdle(pool, 2)
  const verification = new Verification()
  pool.verificationFailed(await pool.checkout({ verification }), verification, idleSessionTimeout())
  t.equal(pool.generation, 0)
  t.equal(server.closes.filter(closes => closes === 1).length, 1)
})

t.test(
  'its tries go on from one checkout to the next, and the last is for a new client',
  async t => {
    const { pool, server } = buildPool(t, { poolSize: 3, isPrePing: true })
    await fillIdle(pool, 2)
    const verification = new Verification()
    for (let tries = 1; tries <= 2; tries += 1) {
      const lease = await pool.checkout({ verification })
      pool.verificationFailed(lease, verification, idleSessionTimeout())
      t.equal(verification.tries, tries)
      t.equal(verification.isExhausted, false)
    }
    await fillIdle(pool, 1)
    const last = await pool.checkout({ verification })
    t.equal(last.client, server.clients.at(-1), 'there was an idle one')
    t.equal(last.isUnverified, false)
    pool.verificationFailed(last, verification, idleSessionTimeout())
    t.equal(verification.isExhausted, true)
  }
)

t.test('silence casts doubt on the others, which the next connect settles', async t => {
  const { pool, clock, server } = buildPool(t, { poolSize: 3, isPrePing: true })
  await fillIdle(pool, 2)
  const verification = new Verification()
  const silent = await pool.checkout({ verification })
  pool.verificationFailed(silent, verification, new PingTimeoutError(1000))
  t.equal(pool.generation, 0)
  server.script(refused())
  const next = start(pool, { verification })
  await settle()
  t.equal(pool.generation, 1)
  await clock.advance(45)
  pool.checkin(next.value)
})

t.test('the place of a client found dead is the next waiter’s', async t => {
  const { pool } = buildPool(t, { poolSize: 1, isPrePing: true })
  await fillIdle(pool, 1)
  const verification = new Verification()
  const lease = await pool.checkout({ verification })
  const waiting = start(pool)
  pool.verificationFailed(lease, verification, adminShutdown())
  await settle()
  pool.checkin(waiting.value)
})
