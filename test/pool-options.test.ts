import t from 'tap'
import { type EngineOptionsInput, engineOptionsSchema } from '../src/options.js'
import { poolOptions } from '../src/pool-options.js'

const from = (options: EngineOptionsInput) => poolOptions(engineOptionsSchema.parse(options))

t.test('C03: the defaults, as the pool counts', async t => {
  t.strictSame(from({}), {
    poolSize: 5,
    maxOverflow: 10,
    isNullPool: false,
    isLifo: true,
    maxWaiting: 1000,
    timeout: 30_000,
    recoveryTimeout: 5000,
    idleTimeout: 10_000,
    recycle: 300_000,
    recycleJitter: 0.2,
    isPrePing: true,
    window: 500,
    pingTimeout: 1000
  })
})

t.test('C03 P47: each option reaches the pool, and only there', async t => {
  const rows: [EngineOptionsInput, object][] = [
    [{ pool_size: 0 }, { poolSize: 0 }],
    [{ max_overflow: -1 }, { maxOverflow: -1 }],
    [{ poolclass: 'NullPool' }, { isNullPool: true }],
    [{ pool_use_lifo: false }, { isLifo: false }],
    [{ pool_max_waiting: 0 }, { maxWaiting: 0 }],
    [{ pool_timeout: 0 }, { timeout: 0 }],
    [{ recovery_timeout: 0 }, { recoveryTimeout: 0 }],
    [{ pool_idle_timeout: 0 }, { idleTimeout: 0 }],
    [{ pool_recycle: 60 }, { recycle: 60_000 }],
    [{ pool_recycle_jitter: 0 }, { recycleJitter: 0 }],
    [{ pool_pre_ping: false }, { isPrePing: false }],
    [{ pool_pre_ping_window: 0 }, { window: 0 }],
    [{ pool_pre_ping_timeout: 2 }, { pingTimeout: 2000 }]
  ]
  for (const [options, expected] of rows) {
    t.strictSame(from(options), { ...from({}), ...expected }, JSON.stringify(options))
  }
})

t.test('X26: a fraction of a second stays what it is', async t => {
  const options = { pool_timeout: 0.5, pool_recycle: 0.25, pool_idle_timeout: 0.001 }
  t.match(from(options), { timeout: 500, recycle: 250, idleTimeout: 1 })
})

t.test('no maximum age is not an age of minus one second', async t => {
  t.equal(from({ pool_recycle: -1 }).recycle, -1)
})

t.test('the longest times are still times that Node.js can count', async t => {
  const longest = 2_147_483
  const { recycle, timeout } = from({ pool_timeout: longest, pool_recycle: longest })
  t.ok(timeout < 2 ** 31 && recycle < 2 ** 31)
})
