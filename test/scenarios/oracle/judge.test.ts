import t from 'tap'
import type { ProtocolMessage } from '../../fixtures/protocol-messages.js'
import type { Answer } from './client.js'
import type { Finding } from './experiment.js'
import { type Phase, phaseOf, violationsIn } from './judge.js'
import { KINDS, SEEN_WITHOUT_ROLE } from './kinds.js'

const OK: Answer = { status: 200, retryAfter: undefined, body: { done: true }, outcome: undefined }
const refused: Answer = { status: 503, retryAfter: '1', body: {}, outcome: 'rolled_back' }
const unknown: Answer = { ...refused, retryAfter: undefined, outcome: 'unknown' }

const sent: ProtocolMessage = {
  way: 'toServer',
  name: 'Parse',
  detail: '',
  statement: 'insert into effects',
  isPassed: true
}

function finding(parts: Partial<Finding>): Finding {
  const cut = { way: 'toServer', side: 'before', message: 1, how: 'fin' } as const
  const nothing = { answers: [OK], rowsBeforeRepeat: [], dialogue: [], later: [] }
  return { kind: KINDS.insert, cut, isCut: true, key: 'k', rows: 1, ...nothing, ...parts }
}

t.test('what keeps every promise is not blamed', async t => {
  const fine: Partial<Finding>[] = [
    {},
    { answers: [unknown], rows: 0, dialogue: [sent] },
    { answers: [unknown], rows: 1, dialogue: [sent] },
    { answers: [refused, OK], rowsBeforeRepeat: [0] },
    { answers: [{ ...unknown, outcome: 'applied' }] },
    { answers: [{ ...unknown, outcome: 'none' }], rows: 0 },
    { kind: KINDS.transaction, rows: 2 },
    { kind: KINDS.read, rows: 0, answers: [{ ...OK, body: [{ value: 42 }] }] }
  ]
  for (const parts of fine) t.strictSame(violationsIn(finding(parts)), [])
})

t.test('each broken promise is found', async t => {
  const row: ProtocolMessage = {
    way: 'toClient',
    name: 'DataRow',
    detail: JSON.stringify([SEEN_WITHOUT_ROLE]),
    statement: 'select who from visible',
    isPassed: true
  }
  const broken: [Partial<Finding>, RegExp][] = [
    [{ rows: 0 }, /200 .*with 0 rows/],
    [{ rows: 2 }, /2 rows: applied twice/],
    [{ kind: KINDS.transaction, rows: 1 }, /1 rows: applied twice, or in part/],
    [{ answers: [refused, OK], rowsBeforeRepeat: [1] }, /answer 1: 1 rows, and may be repeated/],
    [{ answers: [refused] }, /rolled_back.* with 1 rows/],
    [{ answers: [refused], rows: 0 }, /refused again and again/],
    [{ answers: [{ ...unknown, outcome: 'applied' }], rows: 0 }, /applied: with 0 rows/],
    [
      { kind: KINDS.roleThenRead, rows: 0, answers: [{ ...unknown, outcome: 'applied' }] },
      /applied/
    ],
    [{ answers: [{ ...unknown, retryAfter: '1' }, OK], rowsBeforeRepeat: [0] }, /nobody knows/],
    [{ answers: [{ ...unknown, outcome: undefined }] }, /no outcome/],
    [{ answers: [{ ...unknown, status: 500 }] }, /500 .*neither success nor 503/],
    [{ answers: [{ ...unknown, status: 0 }] }, /neither success nor 503/],
    [{ answers: [{ ...OK, body: [] }] }, /a wrong answer/],
    [{ answers: [] }, /no answer/],
    [{ answers: [unknown] }, /nothing was in doubt/],
    [{ isCut: false }, /has not come to the cut/],
    [{ later: [[row]] }, /without the role/]
  ]
  for (const [parts, what] of broken) t.match(violationsIn(finding(parts)).join('\n'), what)
})

t.test('a phase ends with what the client has got', async t => {
  const xid = `select pg_current_xact_id_if_assigned()`
  const cases: [Phase, ...[name: string, detail: string, statement?: string][]][] = [
    ['before'],
    ['before', ['DataRow', '["7"]', 'select 7']],
    ['before', ['DataRow', '[null]', xid]],
    ['before', ['CommandComplete', 'INSERT 0 1'], ['ReadyForQuery', 'T']],
    ['middle', ['DataRow', '["755"]', xid]],
    ['middle', ['DataRow', '["755"]', xid], ['CommandComplete', 'COMMIT']],
    [
      'middle',
      ['CommandComplete', 'INSERT 0 1'],
      ['DataRow', '["7"]', xid],
      ['ReadyForQuery', 'T']
    ],
    ['after', ['CommandComplete', 'INSERT 0 1'], ['DataRow', '["7"]', xid], ['ReadyForQuery', 'I']],
    ['after', ['CommandComplete', 'INSERT 0 1'], ['ReadyForQuery', 'I'], ['DataRow', '["1"]']]
  ]
  for (const [phase, ...messages] of cases) {
    const dialogue = messages.map(
      ([name, detail, statement = '']): ProtocolMessage => ({
        way: 'toClient',
        name,
        detail,
        statement,
        isPassed: true
      })
    )
    t.equal(phaseOf(dialogue), phase)
    t.equal(phaseOf(dialogue.map(message => ({ ...message, isPassed: false }))), 'before')
  }
})
