import t from 'tap'
import type { Account } from '../src/account.js'
import type { Outcome } from '../src/errors.js'
import { Ledger, ledgerOf, recordLedger } from '../src/ledger.js'

/** What a connection may have done, by what its request is told if it fails then. */
const DONE: Record<Outcome, ((account: Account) => void)[]> = {
  none: [
    () => {},
    account => account.written('nothing', true),
    account => account.written('read', false)
  ],
  rolled_back: [
    account => account.written('change', true),
    account => {
      account.written('change', false)
      account.answered('failed', undefined, false)
    },
    account => {
      account.written('command', true)
      account.lost()
    },
    account => {
      account.written('change', false)
      account.lost()
      account.resolved('aborted')
    }
  ],
  unknown: [
    account => account.written('change', false),
    account => account.written('untracked', false),
    account => {
      account.written('change', true)
      account.written('commit', true)
      account.lost()
    }
  ],
  applied: [
    account => {
      account.written('change', false)
      account.answered('done', 'INSERT', false)
    },
    account => {
      account.written('change', false)
      account.lost()
      account.resolved('committed')
    }
  ]
}
/** What is worse for who would repeat the request comes later. */
const OUTCOMES: Outcome[] = ['none', 'rolled_back', 'unknown', 'applied']

t.test('a request that uses no database may be repeated', async t => {
  t.match(new Ledger(), { outcome: 'none', permitsRepeat: true })
})

t.test('what one connection has done is what the request has done', async t => {
  for (const outcome of OUTCOMES) {
    for (const act of DONE[outcome]) {
      const ledger = new Ledger()
      act(ledger.open())
      t.equal(ledger.outcome, outcome, String(act))
    }
  }
})

t.test('F16: of what several connections have done the worst counts, in any order', async t => {
  for (const [one, first] of OUTCOMES.entries()) {
    for (const [other, second] of OUTCOMES.entries()) {
      for (const act of DONE[first]) {
        for (const react of DONE[second]) {
          const ledger = new Ledger()
          act(ledger.open())
          react(ledger.open())
          const worst = OUTCOMES[Math.max(one, other)]
          t.equal(ledger.outcome, worst, `${first}, then ${second}`)
        }
      }
    }
  }
})

t.test('X57: a request may be repeated only when nothing of it can have been applied', async t => {
  for (const outcome of OUTCOMES) {
    const ledger = new Ledger()
    DONE[outcome][0]?.(ledger.open())
    t.equal(ledger.permitsRepeat, outcome === 'none' || outcome === 'rolled_back', outcome)
  }
})

t.test('what was in doubt may be found out', async t => {
  const ledger = new Ledger()
  const account = ledger.open()
  account.written('change', false)
  account.lost()
  t.match(ledger, { outcome: 'unknown', permitsRepeat: false })
  account.resolved('aborted')
  t.match(ledger, { outcome: 'rolled_back', permitsRepeat: true })
})

t.test('what was applied stays applied, whatever comes after', async t => {
  const ledger = new Ledger()
  const account = ledger.open()
  for (const outcome of ['applied', 'rolled_back', 'unknown', 'none'] as const) {
    for (const act of DONE[outcome]) act(account)
    t.match(ledger, { outcome: 'applied', permitsRepeat: false })
  }
})

t.test('X54: an error remembers the ledger of its own work, and of the last', async t => {
  const [one, other] = [new Ledger(), new Ledger()]
  const error = Object.freeze(new Error())
  t.equal(ledgerOf(error), undefined)
  recordLedger(error, one)
  t.equal(ledgerOf(error), one)
  recordLedger(error, other)
  t.equal(ledgerOf(error), other)
  t.equal(ledgerOf(new Error()), undefined)
})

t.test('a cut is one through all accounts, and a seal is on those to come too', async t => {
  const ledger = new Ledger()
  const accounts = [ledger.open(), ledger.open()]
  const started = accounts.map(account => account.start())
  ledger.cutOff()
  for (const [index, account] of accounts.entries())
    t.ok(account.isCutOff(started[index]!, 'change'))
  t.notOk(accounts[0]!.isCutOff(accounts[0]!.start(), 'change'))
  ledger.seal()
  for (const account of [...accounts, ledger.open()])
    t.ok(account.isCutOff(account.start(), 'change'))
})
