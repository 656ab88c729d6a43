import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import ts from 'typescript'
import type { Batch, Outcome } from './batch.js'

const ROOT = path.join(import.meta.dirname, '../..')
/** What the simulation consists of; the tests that use it stay where they are. */
const FOLDERS = ['src', 'src/pool', 'test/simulation']

/** Another text for some of the files; by path from the root of the repository. */
export type Changes = ReadonlyMap<string, string>

/** No batch takes as long as this, in milliseconds, unless the core loops. */
const PATIENCE = 300_000

const transpiled = new Map<string, string>()

/** The simulation and the core as plain JavaScript in a folder of their own, to be run in worker threads. */
export class Workbench {
  readonly #folder: string

  constructor(changes: Changes = new Map()) {
    this.#folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pool-simulation-'))
    fs.writeFileSync(path.join(this.#folder, 'package.json'), '{ "type": "module" }')
    for (const folder of FOLDERS) {
      fs.mkdirSync(path.join(this.#folder, folder), { recursive: true })
      for (const name of fs.readdirSync(path.join(ROOT, folder))) {
        if (!name.endsWith('.ts') || name.endsWith('.test.ts')) continue
        const file = `${folder}/${name}`
        const text = changes.get(file)
        const js = text === undefined ? transpileFile(file) : transpile(text)
        fs.writeFileSync(path.join(this.#folder, file.replace(/ts$/, 'js')), js)
      }
    }
  }

  /** Runs a batch in a thread of its own, without the loaders and the coverage of this one. One that hangs is ended. */
  run(batch: Batch): Promise<Outcome> {
    const worker = new Worker(path.join(this.#folder, 'test/simulation/batch.js'), {
      workerData: batch,
      execArgv: [],
      env: {}
    })
    const timer = setTimeout(() => worker.terminate(), PATIENCE)
    return new Promise<Outcome>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', code =>
        reject(new Error(`The thread of ${batch.first} ended with ${code}`))
      )
    }).finally(() => clearTimeout(timer))
  }

  /** The simulation of this core, in this thread. */
  load(): Promise<typeof import('./simulate.js')> {
    return import(pathToFileURL(path.join(this.#folder, 'test/simulation/simulate.js')).href)
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }
}

export function readSource(file: string): string {
  return fs.readFileSync(path.join(ROOT, file), 'utf8')
}

function transpileFile(file: string): string {
  const text = transpiled.get(file) ?? transpile(readSource(file))
  transpiled.set(file, text)
  return text
}

function transpile(text: string): string {
  const compilerOptions: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true
  }
  return ts.transpileModule(text, { compilerOptions }).outputText
}
