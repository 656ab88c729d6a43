import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'

export const FLASK = 'Flask-SQLAlchemy, pool_pre_ping'
const PYTHON = '/usr/bin/python3'

/** A server under test, in a process of its own, which an outage may end. */
export class Contender {
  readonly #process: ChildProcess
  readonly #isNode: boolean
  port = 0
  hasExited = false

  constructor(name: string, url: string) {
    this.#isNode = name !== FLASK
    this.#process = this.#isNode ? startNode(name, url) : startFlask(url)
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

  /** Attempts to connect since the start; undefined where nobody counts, or is left to ask. */
  async connects(): Promise<number | undefined> {
    if (!this.#isNode || this.hasExited) return undefined
    this.#process.send('connects')
    const exit = once(this.#process, 'exit').then(() => [undefined])
    const [connects] = await Promise.race([once(this.#process, 'message'), exit])
    return connects as number | undefined
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

/** From its sources, so that it can be run at once: what is counted here does not depend on speed. */
function startNode(name: string, url: string): ChildProcess {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const execArgv = ['--import', 'tsx', '--conditions=fastify-pg-engine:source']
  // What ends it is part of the result, not of the output.
  const stdio = ['ignore', 'ignore', 'ignore', 'ipc'] as const
  return fork(new URL('./server.ts', import.meta.url), [name, url], {
    env,
    execArgv,
    stdio: [...stdio]
  })
}

function startFlask(url: string): ChildProcess {
  const file = new URL('./flask_server.py', import.meta.url).pathname
  return spawn(PYTHON, [file, url], { stdio: ['ignore', 'pipe', 'ignore'] })
}
