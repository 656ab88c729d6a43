import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('embedded-postgres-keeper.mjs', import.meta.url))

/** Enough for the reason of a failed start, and a bound for a server that runs for days. */
const LOG_TAIL = 16_384

/** What to run, as `spawn` takes it. */
export interface Program {
  readonly file: string
  readonly args: readonly string[]
  readonly options: {
    readonly uid?: number
    readonly gid?: number
    readonly cwd: string
    readonly env: NodeJS.ProcessEnv
  }
}

type Message = { pid: number } | { wrote: string } | { closed: number | string }

/**
 * The program's end of embedded-postgres-keeper.mjs. It never keeps the program alive by itself:
 * the event loop waits for it only while one of the promises below is pending.
 */
export class Keeper {
  readonly #process: ChildProcess
  #pending = 0
  #running = false
  #pid: number | undefined
  #log = ''

  /** `folder` need not exist yet: naming it first is what makes its removal certain. */
  constructor(folder: string) {
    // Detached: Ctrl-C reaches a whole process group, and the server must survive the program's
    // own shutdown. Without NODE_OPTIONS: the loaders of a test runner have no business there.
    this.#process = fork(SCRIPT, [folder], {
      cwd: tmpdir(),
      detached: true,
      env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: '' },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc']
    })
    this.#process.on('message', (message: Message) => this.#hear(message))
    this.#process.on('exit', () => this.#hear({ closed: 'unseen' }))
    this.#hold(0)
  }

  get running(): boolean {
    return this.#running
  }

  get pid(): number | undefined {
    return this.#pid
  }

  /** Runs a program to its end. One at a time. */
  async run(program: Program): Promise<void> {
    const last = await this.#start(program, message => 'closed' in message)
    if (!('closed' in last && last.closed === 0)) throw this.#failure(program, last)
  }

  /** Starts a program and resolves when it has written `ready`. */
  async serve(program: Program, ready: string): Promise<void> {
    const isOver = (message: Message) => 'closed' in message || this.#log.includes(ready)
    const last = await this.#start(program, isOver)
    if ('closed' in last) throw this.#failure(program, last)
  }

  /** Resolves when the program, and all that it started, is gone. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.#running) return
    this.#send({ signal })
    await this.#until(message => 'closed' in message)
  }

  /** Resolves when the server, the folder and the keeper itself are gone. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    this.#hold(+1)
    if (this.#process.connected) this.#process.disconnect()
    await once(this.#process, 'exit')
  }

  #start(program: Program, isOver: (message: Message) => boolean): Promise<Message> {
    if (this.#running) throw new Error('one program at a time')
    if (!this.#process.connected) throw new Error('the server has been removed')
    this.#running = true
    this.#log = ''
    this.#send({ run: program })
    return this.#until(isOver)
  }

  /** A failure means that the keeper is gone, which #until() sees for itself. */
  #send(message: { run: Program } | { signal: NodeJS.Signals }): void {
    this.#process.send(message, () => {})
  }

  #hear(message: Message): void {
    if ('pid' in message) this.#pid = message.pid
    if ('wrote' in message) this.#log = (this.#log + message.wrote).slice(-LOG_TAIL)
    if (!('closed' in message)) return
    this.#running = false
    this.#pid = undefined
  }

  #until(test: (message: Message) => boolean): Promise<Message> {
    this.#hold(+1)
    return new Promise<Message>((resolve, reject) => {
      const settle = (done: () => void) => {
        this.#process.off('message', onMessage).off('exit', onExit)
        this.#hold(-1)
        done()
      }
      const onMessage = (message: Message) => {
        if (test(message)) settle(() => resolve(message))
      }
      const onExit = () => settle(() => reject(new Error('the keeper of the server has ended')))
      this.#process.on('message', onMessage).on('exit', onExit)
    })
  }

  #hold(change: number): void {
    this.#pending += change
    const verb = this.#pending > 0 ? 'ref' : 'unref'
    this.#process[verb]()
    this.#process.channel?.[verb]()
  }

  #failure(program: Program, last: Message): Error {
    const how = 'closed' in last ? last.closed : 'running'
    return new Error(`${basename(program.file)} ended (${how}):\n${this.#log}`)
  }
}
