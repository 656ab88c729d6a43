import t from 'tap'
import { Attempt } from '../src/attempt.js'
import type { Client } from '../src/client/client.js'
import { EvidencePart } from '../src/client/evidence.js'
import { Exchange } from '../src/client/exchange.js'
import { ControlPart, type Part } from '../src/client/parts.js'
import { QueryPart } from '../src/client/query-part.js'

const SERVER = { systemIdentifier: '1', startedAt: '2', statisticsSince: '3' }

function query(text = 'insert into notes values (1)'): QueryPart {
  return new QueryPart({ text }, undefined)
}

/** An attempt with these parts, each with the tag it was completed with, if it was. */
function attemptWith(...parts: [Part, string?][]): Attempt {
  const attempt = new Attempt(1)
  attempt.parts = parts.map(([part]) => part)
  for (const [part, text] of parts) if (text !== undefined) part.onComplete({ text })
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

t.test('a COMMIT behind it, which is the last of all, was not reached then', async t => {
  const shutdown = coded('57P01')
  const [begin, commit] = [new ControlPart('BEGIN'), new ControlPart('COMMIT')]
  t.ok(attemptWith([begin], [query()], [commit]).wasStoppedBeforeCommit(shutdown))
  t.ok(
    attemptWith([begin], [query(), 'INSERT 0 1'], [query()], [commit]).wasStoppedBeforeCommit(
      shutdown
    )
  )
  t.notOk(attemptWith([begin], [query(), 'INSERT 0 1'], [commit]).wasStoppedBeforeCommit(shutdown))
  t.notOk(attemptWith([commit]).wasStoppedBeforeCommit(shutdown))
})

t.test('so it is when the backend has said in a notice that it exits at once', async t => {
  const closed = new Error('Connection terminated unexpectedly')
  const stopped = attemptWith([query()])
  stopped.client = { hasSaidItsLast: true } as Client
  t.ok(stopped.wasStoppedBeforeCommit(closed))
  const complete = attemptWith([query(), 'INSERT 0 1'])
  complete.client = stopped.client
  t.notOk(complete.wasStoppedBeforeCommit(closed))
  stopped.client = { hasSaidItsLast: false } as Client
  t.notOk(stopped.wasStoppedBeforeCommit(closed))
})

t.test('nothing but the word of the backend itself proves it', async t => {
  for (const error of [coded('57P02'), coded('57P03'), coded('ECONNRESET'), new Error('57P01')]) {
    t.notOk(attemptWith([query()]).wasStoppedBeforeCommit(error))
  }
  for (const error of [undefined, null, '57P01', { code: '57P01' }]) {
    t.notOk(attemptWith([query()]).wasStoppedBeforeCommit(error))
  }
})
