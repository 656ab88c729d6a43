import { getEventListeners } from 'node:events'
import t from 'tap'
import { onAborted, throwIfAborted } from '../src/abort-listener.js'

t.test('everybody who waits for a signal hears of it once, and costs it one listener', async t => {
  const { signal, ...controller } = created()
  const heard: number[] = []
  for (let i = 0; i < 20; i += 1) onAborted(signal, () => heard.push(i))
  t.equal(getEventListeners(signal, 'abort').length, 1)
  controller.abort()
  t.equal(heard.length, 20)
})

t.test('who takes it back hears nothing; the same function may wait twice', async t => {
  const { signal, ...controller } = created()
  let heard = 0
  const hear = () => {
    heard += 1
  }
  onAborted(signal, hear)
  onAborted(signal, hear)()
  controller.abort()
  t.equal(heard, 1)
})

t.test('the reason of the first aborted signal is thrown', async t => {
  const reason = new Error('enough')
  t.doesNotThrow(() => throwIfAborted(undefined))
  t.doesNotThrow(() => throwIfAborted([created().signal]))
  t.throws(() => throwIfAborted([created().signal, AbortSignal.abort(reason)]), reason)
})

function created() {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
