import t from 'tap'
import { loopTurn } from '../../src/loop-time.js'
import {
  type Finding,
  HalfOpenWatch,
  type SilentClient,
  type WatchedClient
} from '../../src/pool/half-open.js'
import { SilenceError } from '../../src/session-errors.js'
import { FakeClock } from '../fixtures/fake-clock.js'

class FakeClient implements WatchedClient {
  lost: unknown
  isWaiting = false
  isUsed = false
  readonly traffic: { bytesRead: number; bytesWritten: number; address: string }

  constructor(address = 'here') {
    this.traffic = { bytesRead: 0, bytesWritten: 0, address }
  }

  abandon(error: unknown): void {
    this.lost ??= error
    this.isWaiting = false
  }
}

const THERE: Finding<FakeClient> = { isServerGone: false, lost: [] }
const GONE: Finding<FakeClient> = { isServerGone: true, lost: [] }

/** A watch with a time-out of four seconds, so that each step is one. */
function watch({ timeout = 4000, size = 1 } = {}) {
  const clock = new FakeClock()
  const looks: (readonly SilentClient<FakeClient>[])[] = []
  const invalidated: number[] = []
  const script: (() => Finding<FakeClient> | Promise<Finding<FakeClient>>)[] = []
  const halfOpen = new HalfOpenWatch<FakeClient>({
    clock,
    timeout,
    look: async silent => {
      looks.push(silent)
      return script.shift()?.() ?? THERE
    },
    invalidate: (_error, generation) => {
      invalidated.push(generation)
    }
  })
  const clients = Array.from({ length: size }, () => new FakeClient())
  for (const client of clients) halfOpen.add(client, 0)
  const send = (client: FakeClient, bytes = 100) => {
    halfOpen.arm()
    client.isWaiting = true
    client.traffic.bytesWritten += bytes
  }
  const answer = (client: FakeClient) => {
    client.isWaiting = false
    client.traffic.bytesRead += 100
  }
  const pass = async (ms: number) => {
    await clock.advance(ms)
    await loopTurn()
    await loopTurn()
  }
  return { answer, clients, clock, halfOpen, invalidated, looks, pass, script, send }
}

t.test('nobody waits: no timer runs', async t => {
  const { answer, clients, clock, pass, send } = watch()
  const [client] = clients as [FakeClient]
  t.same(clock.pending, { foreground: 0, background: 0 })
  send(client)
  t.same(clock.pending, { foreground: 0, background: 1 })
  answer(client)
  await pass(1000)
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test('one timer for all, and one look for all that are silent', async t => {
  const { clients, clock, looks, pass, send } = watch({ size: 20 })
  for (const client of clients) send(client)
  t.same(clock.pending, { foreground: 0, background: 1 })
  await pass(3999)
  t.equal(looks.length, 0)
  await pass(1)
  t.equal(looks.length, 1)
  t.equal(looks[0]?.length, 20)
})

t.test('no silence lasts longer than the time-out without a look', async t => {
  const { clients, looks, pass, send } = watch({ size: 2 })
  const [early, late] = clients as [FakeClient, FakeClient]
  send(early)
  await pass(700)
  send(late)
  await pass(4000)
  t.same(
    looks.map(look => look.map(({ client }) => client)),
    [[early, late]]
  )
})

t.test('bytes that keep coming are no silence, however long the answer takes', async t => {
  const { clients, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  send(client)
  for (let second = 0; second < 20; second += 1) {
    client.traffic.bytesRead += 1
    await pass(1000)
  }
  t.equal(looks.length, 0)
  await pass(3000)
  t.equal(looks.length, 1, 'an answer that broke off is silence')
})

t.test('statement after statement is no silence, though the client is never seen idle', async t => {
  const { answer, clients, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  for (let second = 0; second < 20; second += 1) {
    send(client)
    await pass(1000)
    answer(client)
  }
  t.equal(looks.length, 0)
})

t.test('a stall of our own is one step of silence, however long it is', async t => {
  const { clients, clock, looks, send } = watch()
  const [client] = clients as [FakeClient]
  send(client)
  // What a stall does to a timer: it comes late, and nothing else has run meanwhile.
  const now = clock.now()
  clock.now = () => now + 60_000
  await clock.advance(1000)
  t.equal(looks.length, 0)
  client.traffic.bytesRead += 1
  client.isWaiting = false
  await clock.advance(5000)
  t.equal(looks.length, 0)
})

t.test('server gone: the silent are abandoned, and their generation with them, once', async t => {
  const { clients, invalidated, pass, script, send } = watch({ size: 3 })
  const [one, other, idle] = clients as [FakeClient, FakeClient, FakeClient]
  script.push(() => GONE)
  send(one)
  send(other)
  await pass(4000)
  for (const client of [one, other]) {
    t.type(client.lost, SilenceError)
    t.match(client.lost, { scope: 'generation' })
  }
  t.equal(idle.lost, undefined, 'the pool sees to the others')
  t.same(invalidated, [0])
})

t.test('a client of an older generation costs no newer one', async t => {
  const { clients, halfOpen, invalidated, pass, script, send } = watch()
  const [old] = clients as [FakeClient]
  const fresh = new FakeClient('elsewhere')
  halfOpen.add(fresh, 1)
  script.push(() => GONE)
  send(old)
  send(fresh)
  await pass(3000)
  fresh.traffic.bytesRead += 1
  await pass(1000)
  t.type(old.lost, SilenceError)
  t.equal(fresh.lost, undefined)
  t.same(invalidated, [0])
})

t.test('server there: a slow statement lives, looked after at growing intervals', async t => {
  const { clients, invalidated, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  const at: number[] = []
  send(client)
  for (let second = 1; second <= 500; second += 1) {
    await pass(1000)
    if (looks.length > at.length) at.push(second)
  }
  t.same(at, [4, 8, 16, 32, 64, 128, 208, 288, 368, 448])
  t.equal(client.lost, undefined)
  t.same(invalidated, [])
})

t.test('after a slow statement the next is looked after as soon as the first', async t => {
  const { answer, clients, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  send(client)
  await pass(20_000)
  const before = looks.length
  answer(client)
  send(client)
  await pass(5000)
  t.equal(looks.length, before + 1)
})

t.test('server there, one client lost: that one, and no generation', async t => {
  const { clients, invalidated, pass, script, send } = watch({ size: 2 })
  const [one, other] = clients as [FakeClient, FakeClient]
  script.push(() => ({ isServerGone: false, lost: [one] }))
  send(one)
  send(other)
  await pass(4000)
  t.match(one.lost, { scope: 'client' })
  t.equal(other.lost, undefined)
  t.same(invalidated, [])
})

t.test('an answer that comes during the look saves its client', async t => {
  for (const verdict of ['gone', 'lost'] as const) {
    const { answer, clients, halfOpen, invalidated, pass, script, send } = watch({ size: 1 })
    const [client] = clients as [FakeClient]
    const elsewhere = new FakeClient('elsewhere')
    halfOpen.add(elsewhere, 0)
    const finding = verdict === 'gone' ? GONE : { isServerGone: false, lost: [client] }
    script.push(async () => {
      answer(client)
      return finding
    })
    send(client)
    await pass(4000)
    t.equal(client.lost, undefined)
    t.same(invalidated, [])
  }
})

t.test('a server that answers others is not gone, whatever became of the look', async t => {
  const { clients, invalidated, pass, script, send } = watch({ size: 2 })
  const [silent, served] = clients as [FakeClient, FakeClient]
  script.push(() => {
    served.traffic.bytesRead += 1
    return GONE
  })
  send(silent)
  await pass(4000)
  t.equal(silent.lost, undefined)
  t.same(invalidated, [])
})

t.test('that it answers others elsewhere says nothing', async t => {
  const { clients, halfOpen, pass, script, send } = watch()
  const [silent] = clients as [FakeClient]
  const elsewhere = new FakeClient('elsewhere')
  halfOpen.add(elsewhere, 0)
  script.push(() => {
    elsewhere.traffic.bytesRead += 1
    return GONE
  })
  send(silent)
  await pass(4000)
  t.type(silent.lost, SilenceError)
})

t.test(
  'one look at a time: who turns silent meanwhile shares its verdict, or gets the next',
  async t => {
    const { clients, halfOpen, looks, pass, script, send } = watch({ size: 2 })
    const [first, second] = clients as [FakeClient, FakeClient]
    const elsewhere = new FakeClient('elsewhere')
    halfOpen.add(elsewhere, 0)
    let tell: (finding: Finding<FakeClient>) => void = () => {}
    const finding = new Promise<Finding<FakeClient>>(resolve => {
      tell = resolve
    })
    script.push(() => finding)
    send(first)
    await pass(1000)
    send(second)
    send(elsewhere)
    await pass(8000)
    t.equal(looks.length, 1)
    tell(GONE)
    await pass(0)
    t.type(first.lost, SilenceError)
    t.type(second.lost, SilenceError)
    t.same(
      looks.map(look => look.map(({ client }) => client.traffic.address)),
      [['here'], ['elsewhere']]
    )
  }
)

t.test('it is told how much may still be under way, and for how long', async t => {
  const { answer, clients, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  send(client, 5_000_000)
  answer(client)
  await pass(60_000)
  send(client, 70)
  await pass(4000)
  t.match(looks[0], [{ bytesSent: 70, forMs: 3000 }])
})

t.test('a client in other hands is watched though nothing was sent through us', async t => {
  const { clients, halfOpen, looks, pass } = watch()
  const [client] = clients as [FakeClient]
  client.isUsed = true
  halfOpen.arm()
  await pass(10_000)
  client.isWaiting = true
  await pass(4000)
  t.equal(looks.length, 1)
})

t.test('lost clients are forgotten; with a time-out of 0 none is watched', async t => {
  const { clients, clock, looks, pass, send } = watch()
  const [client] = clients as [FakeClient]
  send(client)
  client.lost = new Error('gone')
  await pass(10_000)
  t.equal(looks.length, 0)
  t.same(clock.pending, { foreground: 0, background: 0 })

  const off = watch({ timeout: 0 })
  off.send(off.clients[0]!)
  t.same(off.clock.pending, { foreground: 0, background: 0 })
})
