import t from 'tap'
import type { SessionClient } from '../../src/client/config.js'
import { OwedCommit } from '../../src/client/owed-commit.js'
import { TransactionStatus } from '../../src/client/transaction-status.js'
import { FakeClock } from '../fixtures/fake-clock.js'

function statusOf(reported: string | null) {
  const owed = new OwedCommit()
  const raw = { getTransactionStatus: () => reported } as unknown as SessionClient
  const clock = new FakeClock()
  return { clock, owed, status: new TransactionStatus(raw, owed, clock) }
}

t.test('the server says whether a transaction is open', t => {
  t.match(statusOf(null).status, { value: null, isOpen: false })
  t.match(statusOf('I').status, { value: 'I', isOpen: false })
  t.match(statusOf('T').status, { value: 'T', isOpen: true })
  t.match(statusOf('E').status, { value: 'E', isOpen: true })
  t.end()
})

t.test('one whose COMMIT is owed is over', t => {
  const { owed, status } = statusOf('T')
  owed.owe([])
  t.match(status, { value: 'I', isOpen: false })
  owed.take()
  t.match(status, { value: 'I', isOpen: false })
  owed.answered()
  t.match(status, { value: 'T', isOpen: true }, 'what the server has said since is about another')
  t.end()
})

t.test('one that has only read is decided, unless it is SERIALIZABLE or its level unknown', t => {
  const { status } = statusOf('T')
  t.equal(status.isDecided(undefined), false)
  t.equal(status.isDecided('repeatable read'), true)
  t.equal(status.isDecided('serializable'), false)

  status.learn('read committed')
  t.equal(status.isDecided(undefined), true)
  t.equal(status.isDecided('serializable'), false)

  status.learn('serializable')
  t.equal(status.isDecided(undefined), false)
  t.equal(status.isDecided('read committed'), true)

  t.equal(statusOf('E').status.isDecided('read committed'), false)
  t.equal(statusOf('I').status.isDecided('read committed'), false)
  t.end()
})

t.test('its level is asked for once a second, and after what may have changed it', async t => {
  const { clock, status } = statusOf('T')
  t.equal(status.isLevelDue, true)
  status.learn('read committed')
  t.equal(status.isLevelDue, false)
  await clock.advance(1000)
  t.equal(status.isLevelDue, false)
  await clock.advance(1)
  t.equal(status.isLevelDue, true)
  t.equal(status.isDecided(undefined), true, 'it held when the transaction began')

  status.learn('read committed')
  status.forget()
  t.equal(status.isLevelDue, true)
  t.equal(status.isDecided(undefined), false)
})
