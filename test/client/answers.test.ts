import t from 'tap'
import { Answers } from '../../src/client/answers.js'
import type { Runnable } from '../../src/client/outbox.js'
import { CancelError } from '../../src/session-errors.js'

/** The answers of a session that the test can lose, and what happened to it. */
function open() {
  const log: string[] = []
  let lost: unknown
  const lose = (error: unknown) => {
    lost ??= error
    log.push('lost')
  }
  const answers = new Answers({ lost: () => lost, lose, sendNext: () => log.push('next') })
  const query = { isSubmitted: true, submit: () => {}, handleError: () => {}, callback: () => {} }
  const start = (isSubmitted = true) => {
    const one: Runnable = { ...query, isSubmitted }
    const answer = answers.of(one, error =>
      log.push(error ? `failed: ${error.message}` : 'answered')
    )
    answer.catch(() => {})
    return { answer, one }
  }
  return { answers, log, lose, start }
}

t.test('what was answered is told before its promise is kept', async t => {
  const { log, start } = open()
  const { answer, one } = start()
  one.callback(null, 'rows')
  t.same(log, ['answered'])
  t.equal(await answer, 'rows')
})

t.test('an error waits until the server is ready', async t => {
  const { answers, log, start } = open()
  const { answer, one } = start()
  one.callback(new Error('bad'), undefined)
  t.same(log, [])
  answers.settleFailure()
  answers.settleFailure()
  t.same(log, ['failed: bad'])
  await t.rejects(answer, { message: 'bad' })
})

t.test('what was not sent fails at once, and the next one follows', async t => {
  const { log, start } = open()
  const { answer, one } = start(false)
  one.callback(new Error('refused'), undefined)
  await t.rejects(answer, { message: 'refused' })
  await new Promise(resolve => process.nextTick(resolve))
  t.same(log, ['next'], 'the server has answered nothing')
})

t.test('an error that is the end of the session loses it', async t => {
  const { log, start } = open()
  const { answer, one } = start()
  one.callback(Object.assign(new Error('reset'), { code: 'ECONNRESET' }), undefined)
  t.same(log, ['lost'])
  await t.rejects(answer, { code: 'ECONNRESET' })
})

t.test('what is lost with a cancelled statement is told the reason', async t => {
  const { lose, start } = open()
  const { answer, one } = start()
  lose(new CancelError('The cancel request was lost'))
  one.callback(new Error('closed'), undefined)
  await t.rejects(answer, CancelError)
})
