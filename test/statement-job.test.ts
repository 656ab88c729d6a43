import t from 'tap'
import { QueryPart } from '../src/client/query-part.js'
import { emptyResult, isPlain, StatementJob } from '../src/statement-job.js'
import { statementKind } from '../src/statement-kind.js'

const CIRCUMSTANCES = {
  isReadOnly: false,
  isKept: false,
  isReadOnlyByHand: false,
  signals: undefined
}

function jobOf(text: string, circumstances = {}) {
  return new StatementJob({ text }, undefined, statementKind(text), {
    ...CIRCUMSTANCES,
    ...circumstances
  })
}

t.test('what a statement can do and leaves behind follows from its kind', async t => {
  const expected: [string, object][] = [
    ['select 1', { effect: 'read', isRepeatable: true, leavesState: false }],
    ['insert into a values (1)', { effect: 'change', isRepeatable: true, leavesState: false }],
    ['call a()', { effect: 'command', isRepeatable: false, leavesState: true }],
    ['set role a', { effect: 'nothing', isRepeatable: false, leavesState: true }],
    ['begin', { effect: 'nothing', endsTransaction: false, leavesState: true }],
    ['commit', { effect: 'commit', endsTransaction: true }],
    ['rollback', { effect: 'nothing', endsTransaction: true }]
  ]
  for (const [text, facts] of expected) t.match(jobOf(text), facts, text)
})

t.test('a statement by its name alone may be anything', async t => {
  const config = { name: 'n' } as never
  t.equal(new StatementJob(config, undefined, statementKind(''), CIRCUMSTANCES).effect, 'untracked')
})

t.test(
  'READ ONLY puts a block around it, and a transaction of that kind makes it a read',
  async t => {
    const text = 'select f()'
    t.match(jobOf(text), { block: undefined, effect: 'change', isRepeatable: false })
    t.match(jobOf(text, { isReadOnly: true }), {
      block: 'BEGIN READ ONLY',
      effectInBlock: 'read',
      isRepeatable: true
    })
    t.match(jobOf(text, { isKept: true }), { block: undefined, effect: 'read' })
  }
)

t.test('each try has fresh parts, and its result is that of its own', async t => {
  const job = jobOf('insert into a values (1)')
  const [first, second] = [job.parts(), job.parts()]
  t.not(first[0], second[0])
  const [part] = second
  if (part instanceof QueryPart) part.adopt(undefined, undefined)
  part?.onComplete({ text: 'INSERT 0 3' })
  t.match(job.result(second), { command: 'INSERT', rowCount: 3 })
  t.same(job.result(first), emptyResult('COMMIT'), 'only COMMIT was to be waited for')
})

t.test('plain is what may be run again, and has a plan worth keeping', async t => {
  const plain = ['select 1', 'update a set b = 1', 'set role a', 'begin', 'vacuum'].map(text =>
    isPlain(statementKind(text))
  )
  t.same([...plain, isPlain(undefined)], [true, true, false, false, false, false])
})
