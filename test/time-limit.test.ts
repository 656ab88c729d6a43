import t from 'tap'
import { assertSignal, isSeconds, signalIn, within } from '../src/time-limit.js'

t.test('without any limit the work gets no signals', async t => {
  t.equal(await within({}, undefined, async signals => signals), undefined)
})

t.test('it gets the signals it is to obey', async t => {
  const [own, outer] = [new AbortController().signal, new AbortController().signal]
  t.same(await within({ signal: own }, outer, async signals => signals?.length), 2)
  t.same(await within({ signal: own, timeout: 60 }, outer, async signals => signals?.length), 3)
})

t.test('when the time is up the last of them says so', async t => {
  const ended = within({ timeout: 0.001 }, undefined, async (signals = []) => {
    const [late] = signals
    await new Promise(resolve => late!.addEventListener('abort', resolve))
    late!.throwIfAborted()
  })
  await t.rejects(ended, { code: 'FST_DB_DEADLINE', statusCode: 503, retryable: false })
})

t.test('X28: what is no limit is refused', async t => {
  for (const timeout of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2_147_484, '5', null]) {
    t.equal(isSeconds(timeout), false)
    const refused = within({ timeout } as never, undefined, async () => {})
    await t.rejects(refused, { message: /^Expected timeout to be a number of seconds above 0, at/ })
  }
  for (const signal of [null, {}, 'abort', new AbortController()]) {
    const message = /^Expected signal to be an AbortSignal, got/
    t.throws(() => assertSignal(signal), { message })
    await t.rejects(
      within({ signal } as never, undefined, async () => {}),
      TypeError
    )
  }
})

t.test('options that are none are refused, so that no signal is overlooked', async t => {
  const { signal } = new AbortController()
  t.equal(signalIn({ signal }), signal)
  t.equal(signalIn({}), undefined)
  t.throws(
    () => signalIn(signal as never),
    new TypeError('Expected { signal }, got an AbortSignal')
  )
  t.throws(() => signalIn(null as never), new TypeError('Expected { signal }, got null'))
  t.throws(() => signalIn({ signal: 1 } as never), /Expected signal to be an AbortSignal/)
})
