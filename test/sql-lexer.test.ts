import t from 'tap'
import { END, isName, isWord, SqlLexer, UNREADABLE } from '../src/sql-lexer.js'

function lex(text: string): string[] {
  const lexer = new SqlLexer(text)
  const tokens: string[] = []
  for (;;) {
    const token = lexer.next()
    if (token === END) return tokens
    tokens.push(token)
    if (token === UNREADABLE) return tokens
  }
}

/** Each text, and its tokens with a blank between. */
async function check(t: Tap, texts: Record<string, string>): Promise<void> {
  for (const [text, tokens] of Object.entries(texts)) {
    t.strictSame(lex(text), tokens === '' ? [] : tokens.split(' '), JSON.stringify(text))
  }
}

type Tap = Pick<typeof t, 'strictSame'>

t.test('words are folded to lower case, by ASCII only', t =>
  check(t, {
    'SELECT Foo_1 a$1': 'select foo_1 a$1',
    'ÜBER Ünder': 'Über Ünder',
    '\u212aEY \u0130': '\u212aey \u0130',
    'a1.b': 'a1 . b',
    'select\u00a01': 'select\u00a01',
    '\ufeffselect': '\ufeffselect'
  })
)

t.test('names keep what is between their quotes', t =>
  check(t, {
    '"Foo"': '"Foo',
    '"a""b"': '"a"b',
    '"a" "b"': '"a "b',
    '"select"."("': '"select . "(',
    '""': '"',
    'a"b"c': 'a "b c',
    'U&"\\0061"': '"',
    'u&"a""b" c': '" c',
    'u & "a"': 'u & "a',
    'u &"a"': 'u & "a',
    'xu&"a"': 'xu & "a'
  })
)

t.test('strings end where the server ends them', t =>
  check(t, {
    "'a' b": "' b",
    "'it''s' b": "' b",
    "'' b": "' b",
    "'''' b": "' b",
    "'a'\n'b' c": "' ' c",
    "'a\\' b": "' b",
    "E'a\\'b' c": "' c",
    "e'\\\\' c": "' c",
    "E'a''b' c": "' c",
    "E'\\\\\\'' c": "' c",
    "E'a'\n'b\\'c' d": "' d",
    "E'a' -- x\n  'b\\'c' d": "' d",
    "E'a' b": "' b",
    "e 'a\\' b": "e ' b",
    "ae'a\\' b": "ae ' b",
    "B'1' x'F' n'a' c": "' ' n ' c",
    "U&'\\0061' c": "' c",
    "u&'a''b' c": "' c"
  })
)

t.test('dollar quotes end at their own tag', t =>
  check(t, {
    '$$ \' " $$ c': "' c",
    '$a$ $$ $b$ $A$ $a $a$ c': "' c",
    '$$a$b$$ c': "' c",
    '$ü1$ $ü$ $ü1$': "'",
    '$1 $23,$4': '$ $ , $',
    'a$$b$$ c': 'a$$b$$ c',
    $a$b$a$c: "' c"
  })
)

t.test('comments are no tokens, whatever is in them', t =>
  check(t, {
    '-- a\nb': 'b',
    '-- a\rb': 'b',
    "a--'\nb": 'a b',
    '/* \' */a/**/b/* " */': 'a b',
    '/* /* a */ b */ c': 'c',
    '/*/**/*/a': 'a',
    '/***/a/****/': 'a',
    '/* -- */ a': 'a',
    '-- /*\na': 'a',
    '--': '',
    ' \t\r\n\f\v': ''
  })
)

t.test('operators end before a comment, and in a sign only if the server lets them', t =>
  check(t, {
    'a->>b': 'a ->> b',
    '1+-2': '0 + - 0',
    '1*-+2': '0 * - + 0',
    'a=-1': 'a = - 0',
    '1@-2': '0 @- 0',
    '1?-2': '0 ?- 0',
    '1<-- a\n2': '0 < 0',
    '1+/* a */2': '0 + 0',
    '1*/* a */2': '0 * 0',
    '1//* a */2': '0 / 0',
    '1*/2': '0 */ 0',
    'a::int[]': 'a :: int [ ]',
    'a[1:2]': 'a [ 0 : 0 ]',
    'a!==b': 'a !== b'
  })
)

t.test('numbers may begin or end with a dot', t =>
  check(t, {
    '1 1.5 .5 1. 1e3 1.5E-3 1_000': '0 0 0 0 0 0 0',
    '1.into': '\\',
    '-1': '- 0',
    'a.b.c': 'a . b . c',
    'a[1].b': 'a [ 0 ] . b'
  })
)

t.test('a text that the server cannot read ends in an unreadable token', async t => {
  const texts = ["'a", "'a''", "E'a\\'", "E'a'\n'b", "E'a' /*", "b'1", "u&'a", '"a', '"a""', 'u&"a']
  texts.push(
    '/* a',
    '/* /* a */',
    '$a$ $b$',
    '$a',
    '$',
    '$$',
    '1a',
    '1.5a',
    '$1a',
    '{',
    '\\',
    '\x01'
  )
  for (const text of texts) t.equal(lex(text).at(-1), UNREADABLE, JSON.stringify(text))
  t.equal(lex('<'.repeat(64)).at(-1), UNREADABLE, 'an operator of 64 characters')
  t.strictSame(lex(`${'<'.repeat(63)} a`), ['<'.repeat(63), 'a'])
})

t.test('a backslash before a quote is told, where it may be an escape', async t => {
  const isAmbiguous = (text: string) => {
    const lexer = new SqlLexer(text)
    while (![END, UNREADABLE].includes(lexer.next())) {}
    return lexer.ambiguous
  }
  for (const text of ["'\\'", "'a\\'", "'a\\''b'", "select 'x', 'a\\'", "x'\\'", "u&'\\'"]) {
    t.equal(isAmbiguous(text), true, text)
  }
  for (const text of ["'\\a'", "'a'", "'\\ '", "E'\\''", "$$\\'$$", '"\\"', "-- \\'\n'a'", "\\'"]) {
    t.equal(isAmbiguous(text), false, text)
  }
})

t.test('a token tells its sort by its first character', async t => {
  for (const word of ['a', '_a', 'z1', 'über', '数']) t.ok(isWord(word) && isName(word), word)
  for (const name of ['"a', '"', '"(']) t.ok(!isWord(name) && isName(name), name)
  for (const other of [END, UNREADABLE, "'", '0', '$', '(', '::', '+', '`', '{']) {
    t.notOk(isWord(other) || isName(other), other)
  }
})
