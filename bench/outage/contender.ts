import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { EngineStatus } from '../../src/engine-parts.js'

export const FLASK = 'Flask-SQLAlchemy, pool_pre_ping'
const PYTHON = '/usr/bin/python3'

/** What a server tells about itself, since its start. */
export interface Report {
  /** Attempts to connect to the database, also those that were refused. */
  readonly connects: number
  /** `at` in milliseconds, as `Date.now()` has it. */
  readonly events: readonly { readonly name: string; readonly at: number }[]
  /** Bytes. */
  readonly heap: number
  readonly rss: number
  /** How long each refusal took that was not told before. */
  readonly refusedMs: readonly number[]
  /** Of ours only. */
  readonly status: EngineStatus | undefined
}

/** A server under test, in a process of its own, which an outage may end. */
export class Contender {
  readonly #process: ChildProcess
  readonly #isNode: boolean
  port = 0
  hasExited = false

  constructor(name: string, url: string, engineOptions: object = {}) {
    this.#isNode = name !== FLASK
    this.#process = this.#isNode ? startNode(name, url, engineOptions) : startFlask(url)
    this.#process.on('exit', () => {
      this.hasExited = true
    })
  }

  async start(): Promise<this> {
    const { stdout } = this.#process
    const [port] = await (stdout === null ? once(this.#process, 'message') : once(stdout, 'data'))
    this.port = Number(port)
    return this
  }

  /** Undefined where nobody counts, or is left to ask. `collect`: the garbage first, which takes its time. */
  async report(how?: 'collect'): Promise<Report | undefined> {
    if (!this.#isNode || this.hasExited) return undefined
    this.#process.send(how ?? '')
    const exit = once(this.#process, 'exit').then(() => [undefined])
    const [report] = await Promise.race([once(this.#process, 'message'), exit])
    return report as Report | undefined
  }

  async stop(): Promise<void> {
    if (this.hasExited) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }
}

/** Whether Debian's python3-flask-sqlalchemy and python3-psycopg2 are installed. */
export function hasFlask(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import flask_sqlalchemy, psycopg2'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Compiled, as an installed package is: a TypeScript loader would make every error that is thrown expensive. */
function startNode(name: string, url: string, engineOptions: object): ChildProcess {
  const file = new URL('../dist/bench/outage/server.js', import.meta.url)
  const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' }
  // What ends it is part of the result, not of the output.
  const stdio = ['ignore', 'ignore', 'ignore', 'ipc'] as const
  return fork(file, [name, url, JSON.stringify(engineOptions)], {
    env,
    execArgv: ['--expose-gc'],
    stdio: [...stdio]
  })
}

function startFlask(url: string): ChildProcess {
  const file = new URL('./flask_server.py', import.meta.url).pathname
  return spawn(PYTHON, [file, url], { stdio: ['ignore', 'pipe', 'ignore'] })
}
