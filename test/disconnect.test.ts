import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { classify, errorCode, isDriverError, type Phase } from '../src/disconnect.js'
import { PingTimeoutError } from '../src/session-errors.js'

const IN_SESSION: Phase[] = ['statement', 'idle', 'checkout', 'reset']
const LOST = 'Connection terminated unexpectedly'

/** `failure/scope`. */
function verdict(error: unknown, phase: Phase): string {
  const { failure, scope } = classify(error, phase)
  return `${failure}/${scope}`
}

function assertVerdicts(t: Test, error: unknown, inSession: string, atConnect: string): void {
  const label = error instanceof Error ? `${errorCode(error)} ${error.message}` : typeof error
  for (const phase of IN_SESSION) t.equal(verdict(error, phase), inSession, `${label}: ${phase}`)
  t.equal(verdict(error, 'connect'), atConnect, `${label}: connect`)
}

/** As the server sends it; `severity` is translated, `code` is not. */
function fromServer(code: string | undefined, severity: string | undefined, message = 'words') {
  return Object.assign(new pg.DatabaseError(message, 0, 'error'), { code, severity })
}

function fromSystem(code: string, syscall = 'connect'): Error {
  return Object.assign(new Error(`${syscall} ${code} 10.0.0.1:5432`), { code, syscall })
}

/** SQLSTATEs of FATAL errors: what they mean in a session, and while connecting. */
const FATAL: [inSession: string, atConnect: string, codes: string][] = [
  ['disconnect/generation', 'unavailable/none', '57P01 57P02 57P03'],
  ['disconnect/generation', 'unavailable/none', '08000 08001 08003 08004 08006 08007'],
  ['disconnect/client', 'unavailable/none', '08P01 25P03 25P04 57P04 57P05'],
  ['disconnect/client', 'unavailable/none', '53100 53200 58030 XX000 ZZ999'],
  ['disconnect/client', 'misconfigured/none', '28000 28P01 3D000 42501 0A000 22023 42704']
]

t.test('D01 X32 X33 X34: a FATAL error costs one session or all, or lets none begin', async t => {
  for (const [inSession, atConnect, codes] of FATAL) {
    for (const code of codes.split(' ')) {
      for (const severity of ['FATAL', 'PANIC']) {
        assertVerdicts(t, fromServer(code, severity), inSession, atConnect)
      }
    }
  }
  t.equal(verdict(fromServer('53300', 'FATAL'), 'connect'), 'too_many_connections/none')
  t.equal(verdict(fromServer(undefined, 'FATAL'), 'statement'), 'disconnect/client')
})

t.test('a connect that somebody ended under way is told from one that met nobody', async t => {
  const isCutShort = (error: unknown) => classify(error, 'connect').isCutShort === true
  const ended = [fromServer('57P01', 'FATAL'), new Error(LOST), fromSystem('ECONNRESET', 'read')]
  for (const error of ended) t.equal(isCutShort(error), true, String(error))
  const nobody = [
    ...['57P02', '57P03', '57P05', '08006', '53300'].map(code => fromServer(code, 'FATAL')),
    ...['ECONNREFUSED', 'ETIMEDOUT', 'ENOTFOUND'].map(code => fromSystem(code)),
    new Error('timeout expired')
  ]
  for (const error of nobody) t.equal(isCutShort(error), false, String(error))
})

t.test('X33: settings that no server takes are not worth waiting for', async t => {
  // What PostgreSQL 18 says of `options: '-Z'`, '-c fsync=off', '-c nope=1', '-c work_mem=abc'.
  for (const code of ['42601', '55P02', '42704', '22023']) {
    t.equal(verdict(fromServer(code, 'FATAL'), 'connect'), 'misconfigured/none', code)
  }
})

t.test('D01: an ERROR never ends a session, whoever raised it, whatever its code', async t => {
  const usual = '57014 23505 42P01 42601 22P02 25P02 26000 0A000 53300 28P01 3D000 XX000 P0001'
  const raised = '57P01 57P02 57P03 08000 08001 08006 08P01 57P05 25P03'
  for (const code of `${usual} ${raised}`.split(' ')) {
    assertVerdicts(t, fromServer(code, 'ERROR', LOST), 'statement/none', 'statement/none')
  }
})

t.test('X29 X30 X31: the words of an error of the server decide nothing', async t => {
  const closed = 'server closed the connection unexpectedly'
  t.equal(verdict(fromServer('P0001', 'ERROR', closed), 'statement'), 'statement/none')
  t.equal(verdict(fromServer('57014', 'ERROR', closed), 'statement'), 'statement/none')
  t.equal(verdict(fromServer('25006', 'ERROR', closed), 'statement'), 'read_only/generation')
  for (const code of ['40001', '40P01', '55P03']) {
    t.equal(verdict(fromServer(code, 'ERROR', closed), 'statement'), 'contention/none', code)
  }
})

t.test('a severity may be translated, its SQLSTATE is not', async t => {
  const translated: [code: string, severity: string, expected: string][] = [
    ['57P01', 'ВАЖНО', 'disconnect/generation'],
    ['57P03', '致命的エラー', 'disconnect/generation'],
    ['08006', 'KATASTROFALNY', 'disconnect/generation'],
    ['57P05', '치명적오류', 'disconnect/client'],
    ['25P03', '致命错误', 'disconnect/client'],
    ['40001', 'FEHLER', 'contention/none'],
    ['25006', 'ERREUR', 'read_only/generation'],
    ['57014', 'FEHLER', 'statement/none'],
    ['23505', 'ERREUR', 'statement/none'],
    ['P0001', 'ERRO', 'statement/none']
  ]
  for (const [code, severity, expected] of translated) {
    t.equal(verdict(fromServer(code, severity), 'statement'), expected, `${severity} ${code}`)
  }
  t.equal(verdict(fromServer('28P01', 'ВАЖНО'), 'connect'), 'misconfigured/none')
  t.equal(verdict(fromServer('57P03', 'ВАЖНО'), 'connect'), 'unavailable/none')
  t.equal(verdict(fromServer('53300', 'ВАЖНО'), 'connect'), 'too_many_connections/none')
})

/** Codes of Node.js: what they mean in a session, and while connecting. */
const SYSTEM: [inSession: string, atConnect: string, codes: string][] = [
  ['disconnect/generation', 'unavailable/none', 'ECONNRESET ECONNREFUSED ECONNABORTED EPIPE'],
  ['disconnect/generation', 'unavailable/none', 'ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENOTCONN'],
  ['disconnect/generation', 'unavailable/none', 'ENETUNREACH ENETDOWN ENETRESET'],
  ['disconnect/generation', 'unavailable/none', 'ERR_STREAM_DESTROYED ERR_STREAM_WRITE_AFTER_END'],
  ['disconnect/generation', 'misconfigured/none', 'CERT_HAS_EXPIRED HOSTNAME_MISMATCH'],
  ['disconnect/generation', 'misconfigured/none', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ['disconnect/generation', 'misconfigured/none', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ['disconnect/generation', 'misconfigured/none', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ['disconnect/generation', 'misconfigured/none', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ['disconnect/generation', 'misconfigured/none', 'ERR_SSL_WRONG_VERSION_NUMBER'],
  ['statement/none', 'statement/none', 'ABORT_ERR ERR_INVALID_ARG_VALUE ERR_INVALID_URL']
]

t.test('D01 X32: the code of a socket or a certificate decides', async t => {
  for (const [inSession, atConnect, codes] of SYSTEM) {
    for (const code of codes.split(' ')) {
      const error = Object.assign(new Error(`no ${LOST}`), { code })
      assertVerdicts(t, error, inSession, atConnect)
    }
  }
})

t.test(
  'X32: whatever the system says while connecting, it is the database that is away',
  async t => {
    const addresses = 'ENOTFOUND EAI_AGAIN EAI_FAIL ENOENT EADDRNOTAVAIL'
    for (const code of `${addresses} EMFILE ENFILE ENOBUFS ENOMEM EACCES EPERM`.split(' ')) {
      const { failure, scope } = classify(fromSystem(code), 'connect')
      t.match(failure, /^(unavailable|misconfigured)$/, code)
      t.equal(scope, 'none')
    }
    // Node.js 20, to a server that agrees to TLS and then speaks something else.
    t.equal(verdict(fromSystem('EPROTO', 'write'), 'connect'), 'misconfigured/none')
  }
)

t.test('a host with several addresses is judged by what was wrong with them', async t => {
  const refused = [fromSystem('ECONNREFUSED'), fromSystem('ETIMEDOUT')]
  const withCode = Object.assign(new AggregateError(refused), { code: 'ECONNREFUSED' })
  const withoutCode = new AggregateError(['no error', new Error('no code'), ...refused])
  for (const error of [withCode, withoutCode]) {
    t.equal(errorCode(error), 'ECONNREFUSED')
    assertVerdicts(t, error, 'disconnect/generation', 'unavailable/none')
  }
  for (const error of [new AggregateError([]), new AggregateError([new Error('no code'), null])]) {
    t.equal(errorCode(error), undefined)
    assertVerdicts(t, error, 'statement/none', 'statement/none')
  }
})

/** The texts of `pg`'s own errors, which have no code: in a session, and while connecting. */
const TEXTS: [inSession: string, atConnect: string, text: string][] = [
  ['disconnect/generation', 'unavailable/none', LOST],
  ['disconnect/client', 'unavailable/none', 'Client was closed and is not queryable'],
  ['disconnect/client', 'unavailable/none', 'Query read timeout'],
  ['disconnect/client', 'unavailable/none', 'Received unexpected dataRow message from backend.'],
  ['disconnect/client', 'unavailable/none', 'received invalid response: 21'],
  ['disconnect/generation', 'unavailable/none', 'timeout expired'],
  ['disconnect/generation', 'misconfigured/none', 'The server does not support SSL connections'],
  ['disconnect/generation', 'misconfigured/none', 'SASL: client password must be a string']
]

t.test('D01: a text of pg decides where there is no code, and only as a whole', async t => {
  for (const [inSession, atConnect, text] of TEXTS) {
    assertVerdicts(t, new Error(text), inSession, atConnect)
    assertVerdicts(t, fromServer(undefined, undefined, text), inSession, atConnect)
    assertVerdicts(t, new Error(`dblink: ${text}`), 'statement/none', 'statement/none')
  }
  const { failure } = classify(new Error('Connection terminated'), 'statement')
  t.equal(failure, 'disconnect', 'somebody called end()')
})

t.test('no answer to a ping but the right one saves a client', async t => {
  const answers = [fromServer('42501', 'ERROR'), fromServer('25006', 'ERROR'), new Error('?'), 5]
  for (const error of answers) t.equal(verdict(error, 'ping'), 'disconnect/client')
  t.equal(verdict(fromServer('57P05', 'FATAL'), 'ping'), 'disconnect/client')
  t.equal(verdict(fromServer('57P01', 'FATAL'), 'ping'), 'disconnect/generation')
  t.equal(verdict(fromSystem('ECONNRESET', 'read'), 'ping'), 'disconnect/generation')
})

t.test('a ping that was late costs its client, and says nothing of the others', async t => {
  const error = new PingTimeoutError(1500)
  t.match(error, { name: 'PingTimeoutError', message: /1500 ms/ })
  for (const phase of [...IN_SESSION, 'ping'] as const) {
    t.equal(verdict(error, phase), 'disconnect/client', phase)
  }
})

t.test('D01 E32: what is no error at all is no disconnect, and does no harm', async t => {
  const things = [null, undefined, LOST, 5, Symbol(LOST), {}, [], () => {}, Object.create(null)]
  const odd = [{ code: 57 }, { code: null, severity: null }, { message: null }, { severity: 1 }]
  for (const thing of [...things, ...odd, AbortSignal.abort().reason]) {
    assertVerdicts(t, thing, 'statement/none', 'statement/none')
    t.equal(errorCode(thing), undefined)
  }
})

t.test('E06 E23 E31: a mistake of a programmer is no disconnect, and nobody is asked', async t => {
  for (const error of [
    new TypeError(),
    new RangeError(),
    new ReferenceError(),
    new SyntaxError()
  ]) {
    t.notOk(isDriverError(error))
    assertVerdicts(t, error, 'statement/none', 'statement/none')
  }
  for (const error of [new Error(), fromServer('57P01', 'FATAL'), null]) t.ok(isDriverError(error))
})

/** Texts of `pg` about its caller: arguments, configuration, the order of calls. */
const NOT_CONNECTION_TROUBLE = [
  /^Client has already been connected\. You cannot reuse a client\.$/,
  /^(Password must be a string|callback is not a function)$/,
  /^Client was passed a null or undefined query$/,
  /^… not supported in pipeline mode$/,
  /^A query must have either text or a name\./,
  /^Prepared statements must be unique - /,
  /^Query values must be an array$/,
  /^circular reference detected while preparing /,
  /^Invalid sslnegotiation value: |^sslnegotiation=direct requires SSL to be enabled$/,
  /^(first|second) argument must be a Buffer$|^Buffers? (lengths must match|cannot be empty)$/,
  /^Binary mode not supported yet$/
]

t.test('every text that the installed pg has for connection trouble is known', async t => {
  const texts = installedTexts()
  t.ok(texts.length > 40, 'the sources were found and read')
  for (const [text, file] of texts) {
    const isOther = NOT_CONNECTION_TROUBLE.some(other => other.test(text))
    const isKnown = classify(new Error(text), 'statement').failure !== 'statement'
    t.equal(isKnown, !isOther, `${file}: ${text}`)
  }
  for (const other of NOT_CONNECTION_TROUBLE) {
    t.ok(
      texts.some(([text]) => other.test(text)),
      `${other} is still there`
    )
  }
})

/** The texts of all errors that `pg` and `pg-protocol` make, `…` where they put something in. */
function installedTexts(): [text: string, file: string][] {
  const client = path.dirname(createRequire(import.meta.url).resolve('pg'))
  const protocol = path.dirname(createRequire(client).resolve('pg-protocol'))
  return [client, path.join(client, 'crypto'), protocol].flatMap(folder => {
    const files = fs.readdirSync(folder).filter(name => /(?<!\.test)\.js$/.test(name))
    return files.flatMap(name => textsIn(folder, name))
  })
}

function textsIn(folder: string, name: string): [text: string, file: string][] {
  const found: [string, string][] = []
  const source = fs.readFileSync(path.join(folder, name), 'utf8')
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && /Error$/.test(node.expression.getText())) {
      const text = node.arguments?.[0] && textOf(node.arguments[0])
      if (text !== undefined && text !== '…') found.push([text, name])
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true))
  return found
}

function textOf(node: ts.Expression): string {
  if (ts.isStringLiteralLike(node)) return node.text
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('')
  }
  return ts.isBinaryExpression(node) ? textOf(node.left) + textOf(node.right) : '…'
}
