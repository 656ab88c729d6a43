import t from 'tap'
import { type CapacityOptions, capacityOf } from '../../src/pool/capacity.js'

const UNLIMITED = Number.POSITIVE_INFINITY

function capacity(options: Partial<CapacityOptions>) {
  return capacityOf({
    poolSize: 5,
    maxOverflow: 10,
    idleTimeout: 10_000,
    recycle: 300_000,
    isNullPool: false,
    ...options
  })
}

t.test('pool_size are kept, and max_overflow more are allowed', async t => {
  t.strictSame(capacity({}), { keep: 5, limit: 15, linger: 10_000, maxAge: 300_000 })
})

t.test('max_overflow 0 allows no more than are kept', async t => {
  t.match(capacity({ maxOverflow: 0 }), { keep: 5, limit: 5 })
})

t.test('max_overflow -1 sets no limit, and keeps pool_size all the same', async t => {
  t.match(capacity({ maxOverflow: -1 }), { keep: 5, limit: UNLIMITED })
})

t.test('P59: pool_size 0 sets no limit and keeps all, whatever max_overflow says', async t => {
  for (const maxOverflow of [-1, 0, 1, 42]) {
    t.match(capacity({ poolSize: 0, maxOverflow }), { keep: UNLIMITED, limit: UNLIMITED })
  }
})

t.test('pool_recycle -1 lets clients grow as old as they like', async t => {
  t.equal(capacity({ recycle: -1 }).maxAge, UNLIMITED)
})

t.test('pool_idle_timeout 0 lets nothing linger', async t => {
  t.equal(capacity({ idleTimeout: 0 }).linger, 0)
})

t.test(
  'NullPool has no limit, keeps nothing and lets nothing linger, whatever the others say',
  async t => {
    const nullPool = capacity({ isNullPool: true, poolSize: 0, maxOverflow: 0 })
    t.match(nullPool, { keep: 0, limit: UNLIMITED, linger: 0 })
  }
)
