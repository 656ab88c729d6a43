import t from 'tap'
import { Attempt } from '../src/attempt.js'
import { EvidencePart } from '../src/client/evidence.js'
import { Exchange } from '../src/client/exchange.js'
import { ControlPart, type Part, QueryPart, type Wire } from '../src/client/parts.js'

const WIRE = {} as Wire
const SERVER = { systemIdentifier: '1', startedAt: '2', statisticsSince: '3' }

function query(text = 'insert into notes values (1)'): QueryPart {
  return new QueryPart({ text }, undefined)
}

/** An attempt with these parts, each with the tag it was completed with, if it was. */
function attemptWith(...parts: [Part, string?][]): Attempt {
  const attempt = new Attempt(1)
  attempt.parts = parts.map(([part]) => part)
  for (const [part, text] of parts) if (text !== undefined) part.onComplete({ text }, WIRE)
  return attempt
}

function coded(code: string): Error {
  return Object.assign(new Error('terminating connection'), { code })
}

t.test('an attempt that was not made has submitted nothing and learned nothing', async t => {
  const attempt = new Attempt(1)
  t.match(attempt, { isSubmitted: false, tag: undefined, evidence: undefined })
  t.match(attempt, { carried: undefined, isUnanswered: false })
  t.equal(attempt.wasStoppedBeforeCommit(coded('57P01')), false)
  t.doesNotThrow(() => attempt.finish())
})

t.test('it is submitted once its exchange is', async t => {
  const attempt = attemptWith([query()])
  attempt.exchange = new Exchange(attempt.parts, () => {})
  t.equal(attempt.isSubmitted, false)
  attempt.exchange.isSubmitted = true
  t.equal(attempt.isSubmitted, true)
})

t.test('the tag is that of what was run last, but of nothing that only looks on', async t => {
  const evidence = new EvidencePart(SERVER)
  const tags: [string | undefined, ...[Part, string?][]][] = [
    ['INSERT', [query(), 'INSERT 0 1']],
    ['INSERT', [new ControlPart('BEGIN'), 'BEGIN'], [query(), 'INSERT 0 1']],
    ['INSERT', [query(), 'INSERT 0 1'], [evidence, 'SELECT 1']],
    [
      'COMMIT',
      [query(), 'INSERT 0 1'],
      [evidence, 'SELECT 1'],
      [new ControlPart('COMMIT'), 'COMMIT']
    ],
    ['ROLLBACK', [new ControlPart('COMMIT'), 'ROLLBACK']],
    [undefined, [new ControlPart('BEGIN'), 'BEGIN'], [query()]],
    [undefined, [evidence, 'SELECT 1']]
  ]
  for (const [tag, ...parts] of tags) t.equal(attemptWith(...parts).tag, tag)
})

t.test('what was learned of the transaction is found among the parts', async t => {
  const evidence = new EvidencePart(SERVER)
  const parts: [Part][] = [[new ControlPart('BEGIN')], [query()], [evidence]]
  t.equal(attemptWith(...parts).evidence, evidence)
  t.equal(attemptWith([query()]).evidence, undefined)
})

t.test('told to go before the statement was complete, it was not committed', async t => {
  const evidence = new EvidencePart(SERVER)
  const shutdown = coded('57P01')
  t.ok(attemptWith([query()], [evidence]).wasStoppedBeforeCommit(shutdown))
  t.ok(attemptWith([query()]).wasStoppedBeforeCommit(shutdown))
  t.ok(attemptWith([query(), 'INSERT 0 1'], [query()]).wasStoppedBeforeCommit(shutdown))

  t.notOk(attemptWith([query(), 'INSERT 0 1'], [evidence]).wasStoppedBeforeCommit(shutdown))
  t.notOk(attemptWith([query(), 'INSERT 0 1']).wasStoppedBeforeCommit(shutdown))
  t.notOk(attemptWith([evidence]).wasStoppedBeforeCommit(shutdown))
})

t.test('beside a COMMIT of its own nobody can say', async t => {
  const parts: [Part][] = [[new ControlPart('BEGIN')], [query()], [new ControlPart('COMMIT')]]
  t.notOk(attemptWith(...parts).wasStoppedBeforeCommit(coded('57P01')))
  t.notOk(attemptWith([new ControlPart('COMMIT')]).wasStoppedBeforeCommit(coded('57P01')))
})

t.test('nothing but the word of the backend itself proves it', async t => {
  for (const error of [coded('57P02'), coded('57P03'), coded('ECONNRESET'), new Error('57P01')]) {
    t.notOk(attemptWith([query()]).wasStoppedBeforeCommit(error))
  }
  for (const error of [undefined, null, '57P01', { code: '57P01' }]) {
    t.notOk(attemptWith([query()]).wasStoppedBeforeCommit(error))
  }
})

t.test('finish makes results of what has arrived, and of nothing else', async t => {
  const [first, second] = [query('select 1'), query('select 2')]
  const attempt = attemptWith([first, 'SELECT 0'], [second])
  attempt.exchange = new Exchange(attempt.parts, () => {})
  attempt.finish()
  t.match(first.result, { command: 'SELECT', rows: [] })
  t.equal(second.result, undefined)
})
