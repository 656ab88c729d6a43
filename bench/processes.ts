import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { WireCounts } from './wire-proxy.js'

/** Microseconds of CPU. */
interface CpuUsage {
  readonly user: number
  readonly system: number
}

/** A child that says its port first, and answers messages one by one. */
class Child {
  readonly #process: ChildProcess
  readonly #exit: Promise<never>
  port = 0

  constructor(process: ChildProcess) {
    this.#process = process
    this.#exit = once(process, 'exit').then(() => {
      throw new Error('A process of the bench ended by itself; see above')
    })
    this.#exit.catch(() => {})
  }

  async start(): Promise<this> {
    this.port = (await this.#answer()) as number
    return this
  }

  ask(message: unknown): Promise<unknown> {
    this.#process.send(message as object)
    return this.#answer()
  }

  async stop(): Promise<void> {
    this.#process.disconnect()
    await this.#exit.catch(() => {})
  }

  async #answer(): Promise<unknown> {
    const [message] = await Promise.race([once(this.#process, 'message'), this.#exit])
    return message
  }
}

/** One of the servers; compiled, since what a TypeScript loader adds to each function would be measured too. */
export class ServerProcess extends Child {
  constructor(name: string, url: string) {
    const file = new URL('./dist/bench/server/server.js', import.meta.url)
    // As an installed package is, not from its sources.
    const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production' }
    super(fork(file, [name, url], { execArgv: serverArguments(), env }))
  }

  /** Microseconds since it was started. */
  async cpu(): Promise<number> {
    const { user, system } = (await this.ask('cpu')) as CpuUsage
    return user + system
  }
}

function serverArguments(): string[] {
  return process.env.BENCH_NODE_ARGUMENTS?.split(' ') ?? []
}

export class WireProxy extends Child {
  constructor(port: number) {
    super(fork(new URL('./wire-proxy.ts', import.meta.url), [String(port)]))
  }

  /** Sets the delay in milliseconds; gives what was counted since the last time. */
  async turn(delay: number): Promise<WireCounts> {
    return (await this.ask(delay)) as WireCounts
  }
}
