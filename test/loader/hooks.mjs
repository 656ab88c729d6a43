// How the processes of the tests load TypeScript. Each has hundreds of files to transpile; what came of a text is kept,
// so that this is done once and not in each of them.
import { createHash, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
const KEPT = path.join(import.meta.dirname, '../../node_modules/.cache/transpiled')
const OPTIONS = {
  target: 'es2023',
  module: 'esnext',
  verbatimModuleSyntax: true,
  // Coverage and stacks are told in lines of the TypeScript.
  inlineSourceMap: true,
  inlineSources: true
}
const SEED = JSON.stringify([require('typescript/package.json').version, OPTIONS])

fs.mkdirSync(KEPT, { recursive: true })

/** Sources name each other as what they become: `./pool.js` is `pool.ts`. */
export function resolve(specifier, context, nextResolve) {
  const { parentURL } = context
  if (!parentURL?.endsWith('.ts') || !/^\..*\.js$/.test(specifier))
    return nextResolve(specifier, context)
  const source = new URL(specifier.replace(/js$/, 'ts'), parentURL)
  return nextResolve(fs.existsSync(source) ? source.href : specifier, context)
}

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  const transpiled = transpile(path.basename(fileURLToPath(url)), String(source))
  return { format: 'module', source: transpiled, shortCircuit: true }
}

function transpile(fileName, text) {
  const hash = createHash('sha256').update(`${SEED}\0${fileName}\0${text}`).digest('hex')
  const file = path.join(KEPT, `${hash}.js`)
  if (fs.existsSync(file)) return fs.readFileSync(file, 'utf8')
  // Loaded when it is needed only: it takes longer than all the rest.
  const ts = require('typescript')
  const { options } = ts.convertCompilerOptionsFromJson(OPTIONS, '')
  const { outputText } = ts.transpileModule(text, { compilerOptions: options, fileName })
  // Another process may be writing the same.
  const draft = `${file}.${randomUUID()}`
  fs.writeFileSync(draft, outputText)
  fs.renameSync(draft, file)
  return outputText
}
