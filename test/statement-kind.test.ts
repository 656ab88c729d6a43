import t from 'tap'
import { statementKind } from '../src/statement-kind.js'
import { STATEMENTS, STATEMENTS_SCHEMA } from './fixtures/statements.js'

t.test('every statement of the table is what it is', async t => {
  for (const { text, values, refused, ...expected } of STATEMENTS) {
    const wanted = { readOnlyShape: false, several: false, ...expected }
    t.strictSame(statementKind(text), wanted, show(text))
  }
})

t.test('what surrounds a statement does not change it', async t => {
  for (const { text } of STATEMENTS) {
    const changed = surroundings(text).filter(other => !isSameKind(text, other))
    t.strictSame(changed, [], show(text))
  }
})

t.test('keywords are the same in upper case', async t => {
  const unquoted = STATEMENTS.filter(({ text }) => upperUnlessQuoted(text) !== text)
  t.ok(unquoted.length > 200)
  const changed = unquoted.filter(({ text }) => !isSameKind(text, upperUnlessQuoted(text)))
  t.strictSame(changed, [])
})

t.test('a second statement makes it several, and of no kind', async t => {
  const several = { kind: 'other', readOnlyShape: false, several: true }
  for (const { text } of STATEMENTS.filter(({ kind }) => kind !== 'other')) {
    for (const second of ['delete from t', 'select 1', 'commit', '(']) {
      t.strictSame(statementKind(`${text}\n; ${second}`), several, show(text))
    }
  }
})

t.test('a script is several statements', async t => {
  t.match(statementKind(STATEMENTS_SCHEMA), { kind: 'other', several: true })
})

t.test('a plain read stays one inside another, and nothing else becomes one', async t => {
  const frames = [
    ['(', ')'],
    ['select * from (', ') as outside'],
    ['select * from (', ') outside (a, b)'],
    ['with outside (a) as (', ') select * from outside'],
    ['with a as (select 1), outside as not materialized (', ') table outside'],
    ['select 1 where 1 in (', ')'],
    ['select 1 where exists (', ') union all select 2'],
    ['select coalesce((', '), array(select 1))']
  ] as const
  const queries = STATEMENTS.filter(
    ({ text, readOnlyShape }) => readOnlyShape && !/;|show/i.test(text)
  )
  t.ok(queries.length > 200)
  for (const { text, kind } of queries) {
    const isRead = frames.map(([before, after]) => isPlainRead(`${before}\n${text}\n${after}`))
    t.strictSame(new Set(isRead), new Set([kind === 'read']), show(text))
  }
})

t.test('random texts keep the rules', async t => {
  const random = seededRandom(20_261_122)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const broken: string[] = []
  const kinds = new Map<string, number>()

  for (let round = 0; round < 20_000; round++) {
    const parts = [pick(HEADS), ...Array.from({ length: random() * 8 }, () => pick(PARTS))]
    const text = parts.join(' ')
    const { kind } = statementKind(text)
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)

    const same = [
      ...['\n', '/* ; */', ' -- ;\n', '\t/* /* " */ */'].map(blank => parts.join(blank)),
      ...surroundings(text),
      parts.map(upperUnlessQuoted).join(' ')
    ]
    broken.push(...same.filter(other => !isSameKind(text, other)))
    if (isPlainRead(`${text}\n; delete from t`)) broken.push(`${text}\n; delete from t`)
    if (kind === 'read' && parts.some(part => NEVER_IN_READS.has(part))) broken.push(text)
  }
  t.strictSame(broken.slice(0, 10), [])
  for (const kind of ['read', 'write', 'control', 'other']) t.ok((kinds.get(kind) ?? 0) > 200, kind)
})

t.test('random rubbish never throws', async t => {
  const random = seededRandom(5)
  const scraps = [...PARTS, ...HEADS, ...'\'"$\\;()[].,:-/*+=eExXuUbBnN&_09\0\n\u00a0\ufeff\ud800é']
  for (let round = 0; round < 20_000; round++) {
    const length = Math.floor(random() * 20)
    const text = Array.from({ length }, () => scraps[Math.floor(random() * scraps.length)]).join('')
    const { kind, several } = statementKind(text)
    if (several && kind !== 'other') t.fail(show(text))
  }
})

t.test('a text of any size is read in one go', async t => {
  const many = (scrap: string) => scrap.repeat(Math.ceil(500_000 / scrap.length))
  const scraps = [
    ' |(|)|((1))|[|.|,|;|a|A|a |a.|\n|--\n|/*|*/|/* a */|\\|\u212a|1|1.|1_|1e|1,|+|+ |-|- |<|::int',
    "'|''|'a'|'a',|E'|E'a'\n|\\'|\"|\"\"|u&|u&'|u&\"|$|$1,|$a$ |$b|$$",
    '(1,\'a\',$1),|f(1),|"a"(1),|)a(|as |(select |with a as (|case(|x as (|cast(1 as '
  ].flatMap(line => line.split('|'))
  for (const scrap of scraps) {
    for (const [before, after] of [
      ['select ', ''],
      ["select '", "'"],
      ['select 1 /*', '*/'],
      ['insert into t values (', ')']
    ] as const) {
      const { kind } = statementKind(before + many(scrap) + after)
      t.ok(['read', 'write', 'other'].includes(kind), show(scrap))
    }
  }
  const rows = "(12345, 'some text', 12.5, null),\n".repeat(300_000)
  t.equal(statementKind(`insert into t values ${rows} (1)`).kind, 'write', 'a statement of 10 MB')
  t.equal(statementKind(`select ${'('.repeat(9000)}1${')'.repeat(9000)}`).kind, 'read')
})

t.test('the answer is remembered, but only for so many texts of a moderate size', async t => {
  const answer = statementKind('select 1 as remembered')
  t.equal(statementKind('select 1 as remembered'), answer)
  for (let i = 0; i < 1000; i++) statementKind(`select ${i} as once`)
  t.not(statementKind('select 1 as remembered'), answer, 'forgotten')
  t.strictSame(statementKind('select 1 as remembered'), answer)

  const long = `select 1 -- ${'a'.repeat(4096)}`
  t.not(statementKind(long), statementKind(long))
})

const HEADS = [
  'select',
  'select 1',
  'select * from t',
  '(select 1)',
  'values (1)',
  'table t',
  'with x as (select 1)',
  'with x (a) as (values (1)) select 1',
  'with x as (delete from t) select 1',
  'insert into t',
  'update t set a = 1',
  'delete from t',
  'merge into t',
  'begin',
  'commit',
  'rollback',
  'savepoint a',
  'set transaction',
  'show all',
  'create table x as select 1',
  'call f()',
  ''
]

const HARMLESS = [
  ',',
  '1',
  'a',
  '*',
  'from t',
  'where a = 1',
  'and',
  "'a'",
  "'; delete from t'",
  "'it''s'",
  "E'\\''",
  "'a\\b'",
  '$$; drop$$',
  '$q$ $$ $q$',
  '"into"',
  '"a;b"',
  't.update',
  'as delete',
  'count(*)',
  'lower(b)',
  '"count"(a)',
  'pg_catalog.sum(a)',
  'over (order by a)',
  '::int',
  "date '2026-01-01'",
  'cast(a as text)',
  'as x (a, b)',
  '(select 1)',
  'union select 2',
  'order by a',
  'work',
  'and chain',
  'to a',
  'b1$',
  'ü',
  '+',
  '-1',
  '->>',
  '$1',
  '1.5'
]

/** Wherever they stand, the text is no plain read. */
const NEVER_IN_READS = new Set([
  'for update',
  'for no key update',
  'into new',
  '+ touch(1)',
  '= "touch" (1)',
  'and evil.count(1)',
  '::tagged',
  "'a'::evil.text",
  '!!= 1',
  '(delete from t)',
  ', (touch(1))',
  '+ coalesce(touch(1))',
  "'a\\'",
  ';a',
  ', operator(evil.+)'
])

const PARTS = [...HARMLESS, ...NEVER_IN_READS, ';', '(', ')', 'update']

function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function upperUnlessQuoted(part: string): string {
  return /["'$\\]/.test(part) ? part : part.replace(/[a-z]+/g, word => word.toUpperCase())
}

function surroundings(text: string): string[] {
  return [
    ` \n${text}\t `,
    `-- ; commit\n${text}\n--`,
    `/* ; /* commit */ */${text}\n/* a */ -- ; commit`,
    `;;${text}\n; -- a`
  ]
}

function isSameKind(text: string, other: string): boolean {
  return JSON.stringify(statementKind(text)) === JSON.stringify(statementKind(other))
}

function isPlainRead(text: string): boolean {
  return statementKind(text).kind === 'read'
}

function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
