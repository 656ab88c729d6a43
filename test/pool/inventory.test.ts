import t from 'tap'
import type { Capacity } from '../../src/pool/capacity.js'
import { Inventory, type InventoryParts } from '../../src/pool/inventory.js'
import type { Slot } from '../../src/pool/slot.js'
import { type FakeClient, FakeServer, loginRefused, socketReset } from '../fixtures/fake-client.js'
import { FakeClock, settle } from '../fixtures/fake-clock.js'

const NO_TIMERS = { foreground: 0, background: 0 }

/** An inventory whose owner keeps what it is given in `slots`, and a record. */
function build(capacity: Partial<Capacity> = {}, parts: Partial<InventoryParts<FakeClient>> = {}) {
  const clock = new FakeClock()
  const server = new FakeServer(clock)
  const slots: Slot<FakeClient>[] = []
  const log: string[] = []
  const counters = {
    checkouts: 0,
    connects: 0,
    connectFailures: 0,
    pings: 0,
    pingFailures: 0,
    timeouts: 0
  }
  const inventory: Inventory<FakeClient> = new Inventory<FakeClient>({
    capacity: { keep: 2, limit: 3, linger: 1000, maxAge: Number.POSITIVE_INFINITY, ...capacity },
    recycleJitter: 0,
    isLifo: true,
    connect: server.connect,
    clock,
    random: () => 0,
    counters,
    owner: {
      onOpened: slot => slots.push(slot),
      onOpenFailed: () =>
        log.push(`failed, size ${inventory.size}, connecting ${inventory.connecting}`),
      onIdleLost: slot => log.push(`lost in generation ${slot.generation}`),
      onClosed: (client, reason) => log.push(`close ${client.id} ${reason}`),
      mayConnect: () => true
    },
    ...parts
  })
  const open = async (count: number) => {
    for (let left = count; left > 0; left -= 1) inventory.open()
    await settle()
    return slots.slice(-count)
  }
  return { inventory, clock, server, slots, log, counters, open }
}

t.test('P02: a new inventory has opened nothing', async t => {
  const { inventory, server } = build()
  t.match(inventory, { size: 0, idle: 0, connecting: 0, overflow: 0, room: 3 })
  t.equal(server.connects, 0)
})

t.test('a slot counts from the moment its client is being connected', async t => {
  const { inventory, server, slots } = build({ limit: 1 })
  server.script('hang')
  inventory.open()
  t.match(inventory, { size: 1, connecting: 1, room: 0 })
  server.hanging[0]!.succeed()
  await settle()
  t.match(inventory, { size: 1, connecting: 0, idle: 0 })
  t.match(slots, [{ isFresh: true, client: { id: 1 } }])
})

t.test('P51: a connect that fails leaves its place free before the owner is told', async t => {
  const { counters, inventory, log, server } = build({ limit: 1 })
  server.reply = loginRefused()
  inventory.open()
  await settle()
  t.strictSame(log, ['failed, size 0, connecting 0'])
  t.equal(counters.connects, 1)
})

t.test('overflow is what is open beyond what is kept', async t => {
  const { inventory, open } = build({ keep: 2, limit: 3 })
  await open(2)
  t.equal(inventory.overflow, 0)
  await open(1)
  t.equal(inventory.overflow, 1)
  t.equal(inventory.room, 0)
})

t.test('a slot taken from the idle ones is in the hands of the owner', async t => {
  const { inventory, open } = build()
  const [slot] = await open(1)
  inventory.putIdle(slot!)
  t.equal(inventory.idle, 1)
  t.equal(inventory.takeIdle(), slot)
  t.match(inventory, { idle: 0, size: 1 })
  t.equal(inventory.takeIdle(), undefined)
})

t.test('a client that was idle is fresh no more', async t => {
  const { inventory, open } = build()
  const [slot] = await open(1)
  inventory.putIdle(slot!)
  t.equal(slot!.isFresh, false)
})

t.test('unfit clients met while looking for one are closed, each with its reason', async t => {
  const { inventory, log, open } = build({ keep: 3 })
  const [fit, soft, old] = await open(3)
  for (const slot of [fit, soft, old]) inventory.putIdle(slot!)
  soft!.isSoft = true
  old!.expiresAt = 0
  t.equal(inventory.takeIdle(), fit)
  t.strictSame(log, ['close 3 recycle', 'close 2 soft'])
  t.equal(inventory.size, 1)
})

t.test(
  'a discarded slot gives its place free at once, however long its client takes to close',
  async t => {
    const { inventory, server, open } = build({ limit: 1 })
    const [slot] = await open(1)
    server.clients[0]!.isCloseSlow = true
    inventory.discard(slot!, 'error', undefined)
    t.equal(inventory.room, 1)
    t.strictSame(server.closes, [1])
  }
)

t.test('a slot discarded twice closes its client once', async t => {
  const { inventory, log, server, open } = build()
  const [slot] = await open(1)
  inventory.discard(slot!, 'error', undefined)
  inventory.discard(slot!, 'close', undefined)
  t.strictSame(server.closes, [1])
  t.strictSame(log, ['close 1 error'])
})

t.test('a detached client stays open and is counted no more', async t => {
  const { inventory, log, server, open } = build()
  const [slot] = await open(1)
  inventory.detach(slot!)
  t.match(inventory, { size: 0, room: 3 })
  t.strictSame(server.closes, [0])
  t.strictSame(log, [])
})

t.test('the loss of an idle client is told after it is out of the stock', async t => {
  const { inventory, log, server, open } = build()
  const [slot] = await open(1)
  inventory.putIdle(slot!)
  server.clients[0]!.lose(socketReset())
  t.strictSame(log, ['close 1 error', 'lost in generation 0'])
  t.match(inventory, { size: 0, idle: 0 })
  t.strictSame(server.closes, [1])
})

t.test('the loss of a client that is not idle is for the owner to find', async t => {
  const { inventory, log, server, open } = build()
  await open(1)
  server.clients[0]!.lose(socketReset())
  t.strictSame(log, [])
  t.equal(inventory.size, 1)
})

t.test('a new generation closes idle clients and leaves the others open', async t => {
  const { inventory, log, open } = build()
  const [idle, lent] = await open(2)
  inventory.putIdle(idle!)
  inventory.nextGeneration('generation', new Error('gone'))
  t.strictSame(log, ['close 1 generation'])
  t.equal(inventory.generation, 1)
  t.equal(inventory.unfitness(lent!), 'generation')
})

t.test('X20: a client belongs to the generation in which its connect began', async t => {
  const { inventory, server, slots } = build()
  server.script('hang')
  inventory.open()
  inventory.nextGeneration('generation', undefined)
  server.hanging[0]!.succeed()
  await settle()
  t.equal(slots[0]!.generation, 0)
  t.equal(inventory.unfitness(slots[0]!), 'generation')
})

t.test('jitter shortens the life of a client, and never prolongs it', async t => {
  for (const [jitter, drawn, age] of [
    [0, 0.9, 1000],
    [0.2, 0, 1000],
    [0.2, 0.5, 900],
    [0.2, 0.75, 850],
    [1, 0.5, 500]
  ] as const) {
    const { clock, open } = build({ maxAge: 1000 }, { recycleJitter: jitter, random: () => drawn })
    const [slot] = await open(1)
    t.equal(slot!.expiresAt - clock.now(), age, `jitter ${jitter}, drawn ${drawn}`)
  }
})

t.test('each client draws its own age limit', async t => {
  const draws = [0, 0.5]
  const random = () => draws.shift() ?? 1
  const { clock, open } = build({ maxAge: 1000 }, { recycleJitter: 0.2, random })
  const [a, b] = await open(2)
  t.strictSame([a!.expiresAt - clock.now(), b!.expiresAt - clock.now()], [1000, 900])
})

t.test('no age limit and a full jitter is no age limit', async t => {
  const { open } = build({}, { recycleJitter: 1, random: () => 0.999 })
  const [slot] = await open(1)
  t.equal(slot!.expiresAt, Number.POSITIVE_INFINITY)
})

t.test('with nothing that can fall due there is no timer', async t => {
  const { clock, inventory, open } = build()
  const [slot] = await open(1)
  inventory.putIdle(slot!)
  t.strictSame(clock.pending, NO_TIMERS)
})

t.test('closing calls off connects, closes idle clients and waits for the others', async t => {
  const { clock, inventory, log, server, open } = build()
  const [idle, lent] = await open(2)
  inventory.putIdle(idle!)
  server.script('hang')
  inventory.open()
  let isClosed = false
  const closed = inventory.close(5000).then(() => {
    isClosed = true
  })
  await settle()
  t.equal(server.hanging[0]!.signal.aborted, true)
  t.strictSame(log, ['close 1 close', 'failed, size 1, connecting 0'])
  t.equal(isClosed, false)
  inventory.discard(lent!, 'close', undefined)
  await closed
  t.strictSame(server.closes, [1, 1])
  t.strictSame(clock.pending, NO_TIMERS)
})

t.test(
  'a replacement is opened while fewer are open than are kept, and the inventory is not closed',
  async t => {
    const { inventory, server, slots, open } = build({ keep: 2, limit: 3 })
    await open(1)
    inventory.replace()
    t.match(inventory, { size: 2, connecting: 1 })
    inventory.replace()
    t.equal(server.connects, 2)
    await settle()
    for (const slot of slots) inventory.discard(slot, 'error', undefined)
    await inventory.close(0)
    inventory.replace()
    t.equal(server.connects, 2)
  }
)

t.test('closing an empty inventory sets no timer', async t => {
  const { clock, inventory } = build()
  await inventory.close(5000)
  t.strictSame(clock.pending, NO_TIMERS)
})
