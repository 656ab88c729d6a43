import t from 'tap'
import { idleSessionTimeout, socketReset } from '../fixtures/fake-client.js'
import { settle } from '../fixtures/fake-clock.js'
import { assertFullCapacity, buildPool, type FakePool, fillIdle } from '../fixtures/fake-pool.js'

type Scene = (built: FakePool) => unknown

/** What makes the client that is idle, or lent first, go; and the reason that is to be given. */
const SCENES: Record<string, Scene> = {
  ping: async ({ pool, server }) => {
    server.clients[0]!.pingReply = idleSessionTimeout()
    pool.checkin(await pool.checkout())
  },
  recycle: ({ clock }) => clock.advance(60_001),
  generation: ({ pool }) => pool.invalidate(socketReset()),
  user: ({ pool }) => pool.invalidate(undefined, undefined, 'user'),
  error: ({ server }) => server.clients[0]!.lose(socketReset()),
  soft: async ({ pool }) => {
    const lease = await pool.checkout()
    pool.invalidateSoftly(lease, undefined)
    pool.checkin(lease)
  },
  reset: async ({ pool }) => {
    const lease = await pool.checkout()
    lease.client.resetReply = socketReset()
    pool.checkin(lease)
    await settle()
  },
  detach: async ({ pool }) => {
    const lease = await pool.checkout()
    pool.detach(lease)
    pool.checkin(lease)
  }
}

for (const [reason, play] of Object.entries(SCENES)) {
  t.test(`X42: a client that goes because of '${reason}' says so, once`, async t => {
    const built = buildPool(t, { poolSize: 1, isPrePing: true, recycle: 60_000 })
    await fillIdle(built.pool, 1)
    await play(built)
    const closed = built.events.filter(event => event.startsWith('close 1'))
    t.strictSame(closed, [`close 1 ${reason}`])
    t.strictSame(built.server.closes[0], 1)
    await assertFullCapacity(built.pool, 1)
  })
}

t.test('P37 P38: a client that is closed says with which error, if there is one', async t => {
  const { pool, errors } = buildPool(t)
  const error = socketReset()
  pool.checkin(await pool.checkout(), 'user', error)
  t.equal(errors.get(1), error)
  pool.checkin(await pool.checkout(), 'user')
  t.equal(errors.has(2), false)
})

t.test('P35 P36: a soft invalidation says with which error, if there is one', async t => {
  const { pool, events, errors } = buildPool(t)
  const [first, second] = [await pool.checkout(), await pool.checkout()]
  const error = socketReset()
  pool.invalidateSoftly(first, error)
  pool.invalidateSoftly(second, undefined)
  t.strictSame(events.slice(2), ['soft 1', 'soft 2'])
  t.equal(errors.get(1), error)
  t.equal(errors.get(2), undefined)
  for (const lease of [first, second]) pool.checkin(lease)
  await assertFullCapacity(pool, 2)
})
