import t from 'tap'
import type { Client } from '../src/client/client.js'
import { systemClock } from '../src/clock.js'
import { Failure } from '../src/failure.js'
import { Holding } from '../src/holding.js'
import { LeakWatch } from '../src/leak-watch.js'
import { Checkout } from '../src/pool/checkout.js'
import { Lease, Slot } from '../src/pool/slot.js'
import type { SessionHost } from '../src/session-host.js'
import { StopSign } from '../src/stop-sign.js'

/** As much of a client as is asked for. */
function fakeClient() {
  const client = {
    lost: undefined as unknown,
    isReady: true,
    onceReady: (fn: () => void) => waiting.push(fn)
  }
  const waiting: (() => void)[] = []
  const becomeReady = () => {
    client.isReady = true
    for (const tell of waiting.splice(0)) tell()
  }
  return { client, becomeReady }
}

/** A holding, the checkouts that it has begun, and what was reported and given back. */
function build({ isIdle = true } = {}) {
  const { becomeReady, client } = fakeClient()
  const lease = new Lease(new Slot<Client>(0, false), client as unknown as Client)
  const checkouts: Checkout<Client>[] = []
  const log: string[] = []
  const pool = {
    begin: () => {
      const checkout = new Checkout<Client>(0, 0)
      checkouts.push(checkout)
      if (isIdle) checkout.resolve(lease)
      return checkout
    },
    checkin: () => log.push('given back'),
    putBack: () => log.push('put back')
  }
  const host = {
    pool,
    leakWatch: new LeakWatch(0, systemClock, {} as never),
    judge: () => ({ failure: 'statement', scope: 'none' })
  }
  const stop = new StopSign({ now: () => 0, setTimer: () => ({ cancel() {} }) })
  const session = {
    stop,
    isEnded: false,
    onTaken: () => log.push('taken'),
    onDropped: () => log.push('dropped'),
    onLost: () => log.push('lost')
  }
  const holding = new Holding(host as unknown as SessionHost, session)
  const end = () => {
    session.isEnded = true
    stop.set(() => new Error('ended') as never)
  }
  return { becomeReady, checkouts, client, end, holding, lease, log }
}

t.test('a client that is there is taken without waiting, and kept', async t => {
  const { checkouts, holding, lease, log } = build()
  holding.enter(false)
  t.equal(holding.takeNow({}), lease)
  t.equal(holding.takeNow({}), lease)
  holding.leave()
  t.equal(holding.lease, lease)
  t.equal(checkouts.length, 1)
  t.same(log, ['taken'])
})

t.test('it goes back once, when it is released and nothing runs on it', async t => {
  const { becomeReady, client, holding, log } = build()
  holding.enter(false)
  holding.takeNow({})
  client.isReady = false
  holding.hold()
  holding.release()
  holding.leave()
  t.same(log, ['taken'], 'a transaction is open on it')
  holding.unhold()
  t.same(log, ['taken'], 'the server has not answered all')
  becomeReady()
  holding.release()
  t.same(log, ['taken', 'dropped', 'given back'])
})

t.test('one that was lost is reported in place of being given back', async t => {
  const { client, holding, log } = build()
  holding.enter(true)
  holding.takeNow({})
  client.lost = new Error('gone')
  holding.leave()
  t.same(log, ['taken', 'lost'])
})

t.test('who comes while others wait for a client, waits for the same', async t => {
  const { checkouts, holding, lease } = build({ isIdle: false })
  const wait = async () => holding.takeNow({}) ?? holding.wait({})
  const waiting = [wait(), wait()]
  t.equal(holding.isWaiting, true)
  checkouts[0]?.resolve(lease)
  t.strictSame(await Promise.all(waiting), [lease, lease])
  t.equal(holding.isWaiting, false)
  t.equal(checkouts.length, 1)
})

t.test(
  'a checkout that fails is the failure of all who wait, and the next one is begun anew',
  async t => {
    const { checkouts, holding, lease, log } = build({ isIdle: false })
    const wait = async () => holding.takeNow({}) ?? holding.wait({})
    const waiting = Promise.allSettled([wait(), wait()])
    const error = new Error('no room')
    checkouts[0]?.reject(error)
    for (const one of await waiting) {
      t.match(one, { status: 'rejected', reason: { error, phase: 'connect' } })
      t.ok(one.status === 'rejected' && one.reason instanceof Failure)
    }
    t.ok(log.includes('dropped'))
    const again = wait()
    checkouts[1]?.resolve(lease)
    t.equal(await again, lease)
  }
)

t.test('called off, who waits is told why; ended, nothing is begun', async t => {
  const { checkouts, end, holding } = build({ isIdle: false })
  t.equal(holding.takeNow({}), undefined)
  const waiting = holding.wait({})
  end()
  holding.callOff(new Error('called off'))
  const failure = await waiting.catch(error => error)
  t.match(failure, { error: { message: 'called off' } })
  t.throws(() => holding.takeNow({}), { message: 'ended' })
  t.equal(checkouts.length, 1)
})

t.test('nothing is begun for who has left already', async t => {
  const { checkouts, holding } = build()
  const signals = [AbortSignal.abort(new Error('left'))]
  t.throws(() => holding.takeNow({ signals }), { message: 'left' })
  t.equal(checkouts.length, 0)
})
