import t from 'tap'
import type { Client } from '../src/client/client.js'
import { MeasuredPool } from '../src/measured-pool.js'
import { engineOptionsSchema } from '../src/options.js'
import { Verification } from '../src/pool/checkout.js'
import type { PoolHooks } from '../src/pool/contract.js'
import { poolOptions } from '../src/pool-options.js'
import { FakeServer } from './fixtures/fake-client.js'
import { FakeClock } from './fixtures/fake-clock.js'

function open() {
  const clock = new FakeClock()
  const server = new FakeServer(clock)
  const seen = { waited: 0, used: 0 }
  const meter = { waited: () => (seen.waited += 1), used: () => (seen.used += 1) }
  const nothing = () => {}
  const hooks = {
    judge: () => ({ failure: 'disconnect', scope: 'client' }),
    checkout: nothing,
    checkin: nothing,
    softInvalidate: nothing,
    detach: nothing,
    generation: nothing,
    close: nothing,
    down: nothing,
    up: nothing
  } as unknown as PoolHooks<Client>
  const options = poolOptions(engineOptionsSchema.parse({ pool_size: 1, max_overflow: 0 }))
  const connect = server.connect as never
  const pool = new MeasuredPool(meter, options, connect, clock, Math.random, hooks)
  return { pool, seen, server }
}

t.test('each loan is measured once, however often it is given back', async t => {
  const { pool, seen } = open()
  const lease = await pool.checkout()
  t.strictSame(seen, { waited: 1, used: 0 })
  pool.checkin(lease)
  pool.checkin(lease)
  t.strictSame(seen, { waited: 1, used: 1 })
})

t.test('one that is given back unused, or was dead when it was lent, is none or one', async t => {
  const { pool, seen } = open()
  const unused = await pool.checkout()
  pool.putBack(unused)
  t.strictSame(seen, { waited: 1, used: 0 })
  const verification = new Verification()
  const dead = await pool.checkout({ verification })
  pool.verificationFailed(dead, verification, new Error('dead'))
  t.strictSame(seen, { waited: 2, used: 1 })
})

t.test('who gets none has waited for none', async t => {
  const { pool, seen, server } = open()
  server.reply = new Error('refused')
  await t.rejects(pool.checkout())
  t.strictSame(seen, { waited: 0, used: 0 })
})
