import t from 'tap'
import { SharedCheckout } from '../src/shared-checkout.js'

/** A checkout that the test settles, and that can be called off as the pool's can. */
function checkout() {
  let grant: (lease: string) => void = () => {}
  const shared = new SharedCheckout<string>(
    signal =>
      new Promise((resolve, reject) => {
        grant = resolve
        signal.addEventListener('abort', () => reject(signal.reason))
      })
  )
  return { shared, grant: (lease: string) => grant(lease) }
}

t.test('everybody who waits gets the same', async t => {
  const { grant, shared } = checkout()
  const waiting = [shared.wait(undefined), shared.wait([new AbortController().signal])]
  grant('client')
  t.strictSame(await Promise.all(waiting), ['client', 'client'])
})

t.test('who leaves is told the reason, and the others wait on', async t => {
  const { grant, shared } = checkout()
  const leaving = new AbortController()
  const [left, stayed] = [shared.wait([leaving.signal]), shared.wait(undefined)]
  const reason = new Error('enough')
  leaving.abort(reason)
  await t.rejects(left, reason)
  t.equal(shared.isCalledOff, false)
  grant('client')
  t.equal(await stayed, 'client')
})

t.test('the last one to leave calls it off', async t => {
  const { shared } = checkout()
  const leaving = [new AbortController(), new AbortController()]
  const waiting = leaving.map(({ signal }) => shared.wait([signal]))
  const settled = Promise.allSettled(waiting)
  for (const controller of leaving) controller.abort('enough')
  t.match(await settled, [{ reason: 'enough' }, { reason: 'enough' }])
  t.equal(shared.isCalledOff, true)
})

t.test('the last one to leave gets what was granted before', async t => {
  const { grant, shared } = checkout()
  const leaving = new AbortController()
  const waiting = shared.wait([leaving.signal])
  grant('client')
  leaving.abort('too late')
  t.equal(await waiting, 'client')
})

t.test('who was called off before does not join', async t => {
  const { shared } = checkout()
  await t.rejects(shared.wait([AbortSignal.abort(new Error('before'))]), /before/)
  shared.callOff(new Error('over'))
  await t.rejects(shared.wait(undefined), /over/)
})
