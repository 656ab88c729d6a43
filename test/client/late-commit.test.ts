import t from 'tap'
import type { SessionClient } from '../../src/client/config.js'
import type { Exchange } from '../../src/client/exchange.js'
import { LateCommit } from '../../src/client/late-commit.js'
import { OwedCommit } from '../../src/client/owed-commit.js'
import { ControlPart } from '../../src/client/parts.js'
import { TransactionStatus } from '../../src/client/transaction-status.js'
import { FakeClock } from '../fixtures/fake-clock.js'

const COMMIT = [new ControlPart('COMMIT')]
const LEVEL = 'read committed'

function build({ status = 'T', isQuiet = true, isLost = false } = {}) {
  const owed = new OwedCommit()
  const raw = { getTransactionStatus: () => status } as unknown as SessionClient
  const sent: unknown[] = []
  const session = { isLost, failure: undefined as Error | undefined }
  const lateCommit = new LateCommit({
    status: new TransactionStatus(raw, owed, new FakeClock()),
    owed,
    isQuiet: () => isQuiet,
    isLost: () => session.isLost,
    run: async (_exchange: Exchange) => {
      sent.push(...owed.take())
      if (session.failure) throw session.failure
    }
  })
  return { lateCommit, owed, sent, session }
}

const nextTick = () => new Promise<void>(resolve => process.nextTick(resolve))

t.test('it is sent by itself when nothing has taken it along', async t => {
  const { lateCommit, sent } = build()
  t.equal(lateCommit.begin(LEVEL, COMMIT), true)
  t.strictSame(sent, [])
  await nextTick()
  t.strictSame(sent, COMMIT)

  const other = build()
  other.lateCommit.begin(LEVEL, COMMIT)
  t.equal(other.owed.take(), COMMIT)
  await nextTick()
  t.strictSame(other.sent, [], 'it was written already')
})

t.test('not where it may not be left to itself', t => {
  const cases = [{ status: 'I' }, { status: 'E' }, { isQuiet: false }, { isLost: true }]
  for (const setup of cases) {
    const { lateCommit, owed, sent } = build(setup)
    t.equal(lateCommit.begin(LEVEL, COMMIT), false, JSON.stringify(setup))
    t.strictSame([owed.isOwed, sent], [false, []])
  }
  t.equal(build().lateCommit.begin('serializable', COMMIT), false)
  t.equal(build().lateCommit.begin(undefined, COMMIT), false, 'the level is not known')
  t.end()
})

t.test('it is not sent where nothing is owed, nor on a session that is gone', t => {
  const { lateCommit, sent, session } = build()
  t.equal(lateCommit.send(), undefined)
  lateCommit.begin(LEVEL, COMMIT)
  session.isLost = true
  t.equal(lateCommit.send(), undefined)
  t.strictSame(sent, [])
  t.end()
})

t.test('that it failed is nobody’s rejection', async t => {
  const { lateCommit, session } = build()
  session.failure = new Error('lost')
  lateCommit.begin(LEVEL, COMMIT)
  t.equal(await lateCommit.send(), undefined)
})
