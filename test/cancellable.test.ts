import t from 'tap'
import { Account } from '../src/account.js'
import { runCancellable } from '../src/cancellable.js'
import type { Client } from '../src/client/client.js'
import { Exchange } from '../src/client/exchange.js'

/** A client whose query runs until it is interrupted. */
class Running {
  readonly reasons: unknown[] = []
  #reject: (error: unknown) => void = () => {}

  run(): Promise<unknown> {
    return new Promise((_, reject) => {
      this.#reject = reject
    })
  }

  interrupt(reason: unknown): void {
    this.reasons.push(reason)
    this.#reject(reason)
  }
}

function start(signal: AbortSignal, account = new Account(), isSubmitted = true) {
  const client = new Running()
  const query = new Exchange([], () => {})
  query.isSubmitted = isSubmitted
  const result = runCancellable(client as unknown as Client, query, [signal], account)
  return { client, result }
}

t.test('the signal has the query cancelled, for its reason', async t => {
  const stop = new AbortController()
  const { client, result } = start(stop.signal)
  const reason = new Error('enough')
  stop.abort(reason)
  await t.rejects(result, reason)
  t.strictSame(client.reasons, [reason])
})

function committing(): Account {
  const account = new Account()
  account.written('change', true)
  account.written('commit', true)
  return account
}

t.test('what was aborted already is not run', async t => {
  const reason = new Error('enough')
  const { client, result } = start(AbortSignal.abort(reason))
  await t.rejects(result, reason)
  t.strictSame(client.reasons, [])
})

t.test('what waits behind a COMMIT is taken out', async t => {
  const stop = new AbortController()
  const { client, result } = start(stop.signal, committing(), false)
  const reason = new Error('enough')
  stop.abort(reason)
  await t.rejects(result, reason)
  t.strictSame(client.reasons, [reason])
})

t.test('a COMMIT is never cancelled', async t => {
  const stop = new AbortController()
  const account = committing()
  const { client, result } = start(stop.signal, account)
  result.catch(() => {})
  stop.abort(new Error('enough'))
  t.strictSame(client.reasons, [])
})
