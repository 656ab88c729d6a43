import t from 'tap'
import { classify } from '../../src/disconnect.js'
import { Checkout } from '../../src/pool/checkout.js'
import type { PoolOptions } from '../../src/pool/contract.js'
import { Dispatcher } from '../../src/pool/dispatcher.js'
import { Inventory } from '../../src/pool/inventory.js'
import { Recovery } from '../../src/pool/recovery.js'
import { WaitingLine } from '../../src/pool/waiting-line.js'
import { type FakeClient, FakeServer, loginRefused, socketReset } from '../fixtures/fake-client.js'
import { FakeClock, settle } from '../fixtures/fake-clock.js'
import { POOL_OPTIONS, Watched } from '../fixtures/fake-pool.js'

/** A dispatcher over a real inventory; what it invalidates is only written down. */
function build(overrides: Partial<PoolOptions> & { limit?: number } = {}) {
  const { limit = 1, ...options } = overrides
  const clock = new FakeClock()
  const server = new FakeServer(clock)
  const invalidated: unknown[] = []
  const counters = {
    checkouts: 0,
    connects: 0,
    connectFailures: 0,
    pings: 0,
    pingFailures: 0,
    timeouts: 0
  }
  const inventory: Inventory<FakeClient> = new Inventory<FakeClient>({
    capacity: { keep: limit, limit, linger: 1000, maxAge: Number.POSITIVE_INFINITY },
    recycleJitter: 0,
    isLifo: true,
    connect: server.connect,
    clock,
    random: () => 0,
    counters,
    owner: {
      onOpened: slot => dispatcher.onOpened(slot),
      onOpenFailed: (slot, error) => dispatcher.onOpenFailed(slot, error),
      onIdleLost: () => {},
      onClosed: () => {},
      mayConnect: () => true
    }
  })
  const recovery = new Recovery({
    clock,
    random: () => 0,
    limit,
    probe: () => inventory.open(true),
    onClosed: () => {},
    onOpened: () => line.endParking()
  })
  const poolOptions = { ...POOL_OPTIONS, ...options }
  const line: WaitingLine<FakeClient> = new WaitingLine<FakeClient>({
    options: poolOptions,
    clock,
    inventory,
    recovery,
    counters
  })
  const dispatcher: Dispatcher<FakeClient> = new Dispatcher<FakeClient>({
    options: poolOptions,
    clock,
    line,
    recovery,
    hooks: {
      judge: classify,
      checkout: () => {},
      checkin: () => {},
      softInvalidate: () => {},
      detach: () => {},
      generation: () => {},
      close: () => {},
      down: () => {},
      up: () => {}
    },
    inventory,
    counters,
    invalidate: (error, generation) => invalidated.push([error, generation])
  })
  const arrive = (request: { within?: number; signal?: AbortSignal } = {}) => {
    const checkout = new Checkout<FakeClient>(
      clock.now(),
      clock.now() + (request.within ?? 30_000),
      { signal: request.signal }
    )
    dispatcher.admit(checkout)
    return new Watched(checkout.promise)
  }
  return { clock, server, inventory, dispatcher, line, counters, invalidated, arrive }
}

t.test('a checkout that finds an idle client waits for nothing', async t => {
  const { arrive, clock, dispatcher, line, inventory, server } = build()
  const first = arrive()
  await settle()
  dispatcher.supply(first.value.slot)
  const second = arrive()
  t.equal(line.size, 0)
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  await settle()
  t.equal(second.value.slot, first.value.slot)
  t.equal(inventory.idle, 0)
  t.equal(server.connects, 1)
})

t.test('a slot that comes free is the first waiter’s, and idle when nobody waits', async t => {
  const { arrive, dispatcher, line, inventory } = build()
  const holder = arrive()
  await settle()
  const { slot } = holder.value
  const [first, second] = [arrive(), arrive()]
  t.equal(line.size, 2)
  for (const waiter of [first, second]) {
    dispatcher.supply(slot)
    await settle()
    t.equal(waiter.value.slot, slot)
  }
  dispatcher.supply(slot)
  t.equal(inventory.idle, 1)
})

t.test('capacity that comes free serves as many waiters as it can', async t => {
  const { arrive, dispatcher, inventory, server } = build({ limit: 3 })
  const holders = [arrive(), arrive(), arrive()]
  await settle()
  const waiters = [arrive(), arrive(), arrive()]
  for (const { value } of holders.slice(0, 2)) inventory.discard(value.slot, 'error', undefined)
  t.equal(server.connects, 3, 'nothing happens until it is told')
  dispatcher.serve()
  await settle()
  t.strictSame(
    waiters.map(({ state }) => state),
    ['resolved', 'resolved', 'pending']
  )
  t.equal(server.connects, 5)
})

t.test('serving when nobody waits opens nothing', async t => {
  const { dispatcher, server } = build()
  dispatcher.serve()
  t.equal(server.connects, 0)
})

t.test('a waiter that leaves is out of the queue before it knows', async t => {
  const { arrive, clock, line } = build()
  arrive()
  await settle()
  const waiter = arrive({ within: 100 })
  await clock.advance(100)
  t.equal(line.size, 0)
  t.match(waiter.error, { code: 'FST_DB_POOL_TIMEOUT' })
})

t.test(
  'P53 X16: the failure of a connect is the first waiter’s, its place the next one’s',
  async t => {
    const { arrive, counters, line, invalidated, server } = build()
    const error = loginRefused()
    server.script(error, 'ok')
    const [first, second] = [arrive(), arrive()]
    await settle()
    t.equal(first.error, error)
    t.equal(second.state, 'resolved')
    t.equal(line.size, 0)
    t.match(counters, { connects: 2, connectFailures: 1 })
    t.strictSame(invalidated, [])
  }
)

t.test('a replacement is nobody’s, whether it fails or not', async t => {
  const { arrive, line, inventory, server } = build()
  server.script('hang', 'ok')
  inventory.open(true)
  const waiter = arrive()
  t.equal(line.size, 1)
  t.equal(server.connects, 1, 'one is on its way')
  server.hanging[0]!.fail(loginRefused())
  await settle()
  t.equal(waiter.state, 'resolved')
  t.equal(server.connects, 2)
})

t.test('a failed ping invalidates the generation of its client, and not a newer one', async t => {
  const { arrive, dispatcher, invalidated } = build({ isPrePing: true })
  const holder = arrive()
  await settle()
  const { client, slot } = holder.value
  dispatcher.supply(slot)
  const error = socketReset()
  client.pingReply = error
  const next = arrive()
  await settle()
  t.strictSame(invalidated, [[error, 0]])
  t.equal(next.value.client.id, 2)
})

t.test('a doubt is settled by the connect that fails, with the connect’s error', async t => {
  const { arrive, clock, dispatcher, invalidated, server } = build({ isPrePing: true })
  const holder = arrive()
  await settle()
  dispatcher.supply(holder.value.slot)
  holder.value.client.pingReply = 'silent'
  const error = loginRefused()
  server.script(error)
  const doubting = arrive()
  await clock.advance(1000)
  t.strictSame(invalidated, [[error, 0]])
  t.equal(doubting.error, error)
})

t.test('closing refuses the waiters, and lent clients are not touched', async t => {
  const { arrive, dispatcher, line, clock } = build()
  const holder = arrive()
  await settle()
  const waiters = [arrive(), arrive()]
  dispatcher.close()
  t.equal(line.size, 0)
  await settle()
  for (const waiter of waiters) t.match(waiter.error, { code: 'FST_DB_ENGINE_CLOSED' })
  t.strictSame(clock.pending, { foreground: 0, background: 0 })
  t.equal(holder.value.client.closes, 0)
})

t.test('after closing a client that has connected is closed', async t => {
  const { arrive, dispatcher, inventory, server } = build()
  server.script('hang')
  const waiter = arrive()
  dispatcher.close()
  server.hanging[0]!.succeed()
  await settle()
  t.equal(waiter.state, 'rejected')
  t.equal(inventory.size, 0)
  t.strictSame(server.closes, [1])
})
