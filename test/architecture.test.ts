import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import ts from 'typescript'

/**
 * The floors of src/. A file may import from its own floor and from lower ones, never from a higher one. A new
 * file must be put on a floor here; a new file in a folder is on the floor of its folder.
 */
const FLOORS: Record<string, number> = {
  // 4: Fastify
  'index.ts': 4,
  'plugin.ts': 4,
  'augment.ts': 4,
  'http.ts': 4,
  'plugin-options.ts': 4,
  'registry.ts': 4,
  'reply-hooks.ts': 4,
  'route-config.ts': 4,
  'break-off.ts': 4,
  'held-back.ts': 4,
  'reply-body.ts': 4,
  'pending-reply.ts': 4,
  'reply-decision.ts': 4,
  'request-scope.ts': 4,
  'request-state.ts': 4,
  // 3: what people hold, and the rules about it
  'engine.ts': 3,
  'engine-pool.ts': 3,
  'engine-parts.ts': 3,
  'client-source.ts': 3,
  'connector.ts': 3,
  'judge.ts': 3,
  'translate.ts': 3,
  'pool-options.ts': 3,
  'pool-hooks.ts': 3,
  'session.ts': 3,
  'submittable.ts': 3,
  'query-record.ts': 3,
  'statement-runner.ts': 3,
  'batch-job.ts': 3,
  'begin-text.ts': 3,
  'statement-config.ts': 3,
  'leak-watch.ts': 3,
  'echo-pool.ts': 3,
  'queryable.ts': 3,
  'connection.ts': 3,
  'transaction.ts': 3,
  'ledger.ts': 3,
  'doubt.ts': 3,
  'roles.ts': 3,
  'side-look.ts': 3,
  'statement-kind.ts': 3,
  'sql-lexer.ts': 3,
  'replay.ts': 3,
  'run-script.ts': 3,
  'abort-listener.ts': 3,
  'account.ts': 3,
  'attempt.ts': 3,
  'connection-host.ts': 3,
  'delivery.ts': 3,
  'dispatch.ts': 3,
  'failed-statement.ts': 3,
  'failure.ts': 3,
  'holding.ts': 3,
  'inquiry.ts': 3,
  'job.ts': 3,
  'lending.ts': 3,
  'on-abort.ts': 3,
  'open-transaction.ts': 3,
  'caller.ts': 3,
  'cancellable.ts': 3,
  'session-ending.ts': 3,
  'session-failures.ts': 3,
  'lost-transaction.ts': 3,
  'session-host.ts': 3,
  'shared-checkout.ts': 3,
  'shared-reads.ts': 3,
  'statement-job.ts': 3,
  'statement-timeout.ts': 3,
  'patience.ts': 3,
  'stop-sign.ts': 3,
  'time-limit.ts': 3,
  'telemetry.ts': 3,
  'meter.ts': 3,
  'measured-pool.ts': 3,
  'statement-meter.ts': 3,
  'transaction-retry.ts': 3,
  'transactions.ts': 3,
  // 2: pure policy
  'pool/': 2,
  // 1: the wire
  'client/': 1,
  // 0: words
  'disconnect.ts': 0,
  'session-errors.ts': 0,
  'options.ts': 0,
  'settings.ts': 0,
  'env.ts': 0,
  'describe-value.ts': 0,
  'url.ts': 0,
  'errors.ts': 0,
  'events.ts': 0,
  'clock.ts': 0,
  'loop-time.ts': 0,
  'logger.ts': 0
}

const FASTIFY_FILES = [
  'plugin.ts',
  'augment.ts',
  'http.ts',
  'reply-hooks.ts',
  'pending-reply.ts',
  'reply-decision.ts',
  'request-state.ts'
]

/** Who may import which package; what is not listed here, nobody may. `node:` modules are free. */
const PACKAGES: Record<string, { who: string; allows(file: string, typeOnly: boolean): boolean }> =
  {
    pg: {
      who: 'only src/client/ may; others may `import type` from it, src/pool/ not even that',
      allows: (file, typeOnly) =>
        file.startsWith('client/') || (typeOnly && !file.startsWith('pool/'))
    },
    fastify: {
      who: `only ${FASTIFY_FILES.join(', ')} may`,
      allows: file => FASTIFY_FILES.includes(file)
    },
    'fastify-plugin': {
      who: `only ${FASTIFY_FILES.join(', ')} may`,
      allows: file => FASTIFY_FILES.includes(file)
    },
    zod: {
      who: 'only options.ts and env.ts may',
      allows: file => ['options.ts', 'env.ts'].includes(file)
    }
  }

const MAX_LINES = 280
const WITHOUT_TEST = new Set(['index.ts', 'augment.ts'])

interface Import {
  specifier: string
  typeOnly: boolean
}

/**
 * @param sources text of the files in src/, by their path in it, with `/`
 * @param tests paths of the test files in test/
 * @returns one sentence for each broken rule
 */
function findViolations(sources: Map<string, string>, tests: Set<string>): string[] {
  return [...sources].flatMap(([file, text]) => {
    const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    return [
      ...checkPlace(file),
      ...checkLength(file, text),
      ...checkTestFile(file, tree, tests),
      ...findImports(tree).flatMap(found => checkImport(file, found))
    ]
  })
}

function checkPlace(file: string): string[] {
  if (floorOf(file) !== undefined) return []
  return [`say on which floor src/${file} lives: add it to FLOORS in test/architecture.test.ts`]
}

function checkLength(file: string, text: string): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines <= MAX_LINES) return []
  return [`src/${file} has ${lines} lines, ${MAX_LINES} are the limit: it holds two concepts`]
}

function checkTestFile(file: string, tree: ts.SourceFile, tests: Set<string>): string[] {
  const expected = file.replace(/\.ts$/, '.test.ts')
  if (WITHOUT_TEST.has(file) || tests.has(expected) || tree.statements.every(isErased)) return []
  return [`src/${file} has no test file test/${expected}`]
}

function checkImport(file: string, { specifier, typeOnly }: Import): string[] {
  if (specifier.startsWith('node:')) return []
  if (!specifier.startsWith('.')) return checkPackage(file, specifier, typeOnly)

  const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts')
  const from = floorOf(file)
  const to = floorOf(target)
  const says = `src/${file} imports ${specifier}`
  if (target.startsWith('..')) return [`${says}, which is outside src/`]
  if (target === 'index.ts') return [`${says}: index.ts is for users, import the file itself`]
  if (from === undefined || to === undefined) return [] // checkPlace has spoken
  if (from < to) return [`${says}: floor ${from} must not import from floor ${to} above it`]
  if (file.startsWith('pool/') && target.startsWith('client/')) {
    return [`${says}: src/pool/ is pure, it takes what it needs of a client as an argument`]
  }
  return []
}

function checkPackage(file: string, specifier: string, typeOnly: boolean): string[] {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  const rule = PACKAGES[name]
  if (rule === undefined) {
    return [
      `src/${file} imports ${specifier}: no rule for ${name}, add one to PACKAGES in test/architecture.test.ts`
    ]
  }
  return rule.allows(file, typeOnly) ? [] : [`src/${file} imports ${specifier}: ${rule.who}`]
}

function floorOf(file: string): number | undefined {
  const folder = file.slice(0, file.indexOf('/') + 1)
  return FLOORS[folder === '' ? file : folder]
}

/** Every import and re-export, `import()` and `require()` included, also those in types. */
function findImports(tree: ts.SourceFile): Import[] {
  const imports: Import[] = []
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier && ts.isStringLiteralLike(specifier)) {
      imports.push({ specifier: specifier.text, typeOnly })
    }
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      // `import { type A }` is kept at run time as `import {}` (verbatimModuleSyntax): a value import.
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly)
    } else if (ts.isExternalModuleReference(node)) {
      add(node.expression, false)
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    } else if (ts.isCallExpression(node) && isImportOrRequire(node.expression)) {
      add(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return imports
}

function isImportOrRequire(callee: ts.Expression): boolean {
  return (
    callee.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(callee) && callee.text === 'require')
  )
}

/** Nothing of the statement is left at run time. */
function isErased(statement: ts.Statement): boolean {
  if (ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)) return true
  if (ts.isImportDeclaration(statement)) {
    return statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
  }
  if (ts.isExportDeclaration(statement)) return statement.isTypeOnly
  return ts.isModuleDeclaration(statement) && isAmbient(statement)
}

function isAmbient(statement: ts.ModuleDeclaration): boolean {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) ?? false
}

function listFiles(folder: string): string[] {
  const root = path.resolve(import.meta.dirname, '..', folder)
  return fs
    .readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => file.split(path.sep).join('/'))
}

t.test('src keeps to its floors', async t => {
  const root = path.resolve(import.meta.dirname, '../src')
  const sources = new Map(
    listFiles('src').map(file => [file, fs.readFileSync(path.join(root, file), 'utf8')])
  )
  t.ok(sources.has('index.ts'), 'src/ was read')
  t.strictSame(findViolations(sources, new Set(listFiles('test'))), [])
})

t.test('C08: nothing that the engine loads knows Fastify', async t => {
  const root = path.resolve(import.meta.dirname, '../src')
  const loaded = new Set(['engine.ts'])
  const packages = new Set<string>()
  for (const file of loaded) {
    const text = fs.readFileSync(path.join(root, file), 'utf8')
    const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
    for (const { specifier } of findImports(tree)) {
      const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts')
      if (specifier.startsWith('.')) loaded.add(target)
      else if (!specifier.startsWith('node:')) packages.add(specifier)
    }
  }
  t.ok(loaded.has('pool/pool.ts'), 'the files were followed')
  t.strictSame([...packages].sort(), ['pg', 'zod'])
})

/** What is wrong with a made-up src/ in which every file has its test. */
function violationsOf(files: Record<string, string>): string[] {
  const tests = Object.keys(files).map(file => file.replace(/\.ts$/, '.test.ts'))
  return findViolations(new Map(Object.entries(files)), new Set(tests))
}

t.test('imports may point downwards and sideways', async t => {
  const found = violationsOf({
    'index.ts': "export { default } from './plugin.js'\nexport type { E } from './events.js'",
    'plugin.ts': "import fp from 'fastify-plugin'\nimport { Engine } from './engine.js'",
    'engine.ts':
      "import type { Client } from 'pg'\nimport './pool/pool.js'\nimport './client/a.js'",
    'pool/pool.ts': "import fs from 'node:fs'\nimport '../clock.js'\nimport './half-open.js'",
    'pool/half-open.ts': '// import { Client } from "pg"\nexport const text = `import "pg"`',
    'client/a.ts': "import pg from 'pg'\nimport { isDisconnect } from '../disconnect.js'",
    'options.ts': "import { z } from 'zod'\nimport { A } from './errors.js'"
  })
  t.strictSame(found, [])
})

t.test('an import may not point upwards, whatever its form', async t => {
  const forms = [
    "import { Engine } from '../engine.js'",
    "import type { Engine } from '../engine.js'",
    "import '../engine.js'",
    "export * from '../engine.js'",
    "import engine = require('../engine.js')",
    "const engine = await import('../engine.js')",
    "let engine: import('../engine.js').Engine"
  ]
  for (const form of forms) {
    t.strictSame(
      violationsOf({ 'client/a.ts': form }),
      ['src/client/a.ts imports ../engine.js: floor 1 must not import from floor 3 above it'],
      form
    )
  }
})

t.test('the pool and the client folder do not know each other', async t => {
  t.match(violationsOf({ 'pool/a.ts': "import type { A } from '../client/b.js'" }), [
    'src/pool/a.ts imports ../client/b.js: src/pool/ is pure'
  ])
  t.match(violationsOf({ 'client/b.ts': "import type { A } from '../pool/a.js'" }), [
    'src/client/b.ts imports ../pool/a.js: floor 1 must not import from floor 2'
  ])
})

t.test('index.ts is imported by nobody, and nothing outside src by anybody', async t => {
  t.match(violationsOf({ 'plugin.ts': "import './index.js'" }), [/index.ts is for users/])
  t.match(violationsOf({ 'plugin.ts': "import '../package.json'" }), [/is outside src/])
})

t.test('a package is imported only where it belongs', async t => {
  const misplaced = [
    ['engine.ts', "import pg from 'pg'"],
    ['engine.ts', "import { type Client } from 'pg'"],
    ['pool/a.ts', "import type { Client } from 'pg'"],
    ['pool/a.ts', "import type { FastifyInstance } from 'fastify'"],
    ['engine.ts', "import type { FastifyInstance } from 'fastify'"],
    ['index.ts', "import fp from 'fastify-plugin'"],
    ['settings.ts', "import { z } from 'zod'"],
    ['client/a.ts', "import Result from 'pg/lib/result.js'\nimport { z } from 'zod/mini'"],
    ['engine.ts', "import { chunk } from '@lodash/es/chunk.js'"]
  ] as const
  for (const [file, text] of misplaced) {
    const found = violationsOf({ [file]: text })
    t.equal(found.length, 1, `${file}: ${text}`)
    t.match(found, [/ (may|no rule for @lodash\/es,)/])
  }
})

t.test('a file without a floor is asked for one', async t => {
  for (const file of ['metrics.ts', 'utils/text.ts']) {
    t.match(violationsOf({ [file]: '' }), [`say on which floor src/${file} lives`])
  }
})

t.test('a file that is too long is refused', async t => {
  t.strictSame(violationsOf({ 'clock.ts': '//\n'.repeat(MAX_LINES) }), [])
  t.match(violationsOf({ 'clock.ts': '//\n'.repeat(MAX_LINES + 1) }), [
    `src/clock.ts has ${MAX_LINES + 1} lines`
  ])
})

t.test('every file with code has a test file of its name', async t => {
  const missing = (file: string, text: string) => findViolations(new Map([[file, text]]), new Set())
  t.match(missing('pool/pool.ts', 'export const one = 1'), [
    'src/pool/pool.ts has no test file test/pool/pool.test.ts'
  ])
  t.match(missing('events.ts', "import { type A } from './clock.js'"), [/has no test file/])
  t.strictSame(missing('index.ts', 'export const one = 1'), [])
  t.strictSame(missing('augment.ts', 'export const one = 1'), [])
  t.strictSame(missing('events.ts', "import type { A } from 'pg'\nexport type B = A"), [])
  t.strictSame(missing('http.ts', "declare module 'fastify' {}\nexport interface C {}"), [])
})
