import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { EmbeddedPostgres } from '../../example-app/embedded-postgres.js'
import { Contender, type Report } from './contender.js'
import { megabytes } from './kills.js'
import { ask } from './load.js'
import { CONNECTIONS, SLOW_SECONDS } from './servers.js'
import { quantile } from './verdict.js'

/** Requests a second; few, so that it is the database that is overloaded, and not this machine. */
const CAPACITY = CONNECTIONS / SLOW_SECONDS
/** So that the line is full after some seconds. */
const OPTIONS = { pool_max_waiting: 100 }
const TIMES = 10
const SECONDS = 60
const LINE_SECONDS = 10
const TICK_MS = 10

/**
 * So many times as many requests as the database can serve arrive, whatever becomes of the others. One line for each
 * ten seconds, and one when it is over: memory is flat if the last lines are like the first ones.
 */
export async function overload(postgres: EmbeddedPostgres, server: string) {
  const contender = await new Contender(server, postgres.url, OPTIONS).start()
  const flood = new Flood(contender.port)
  const lines = []
  for (let second = LINE_SECONDS; second <= SECONDS; second += LINE_SECONDS) {
    const statuses = await flood.run(LINE_SECONDS)
    lines.push({ after: `${second} s`, ...statuses, ...figures(await contender.report('collect')) })
  }
  await flood.end()
  lines.push({ after: 'the last answer', ...figures(await contender.report('collect')) })
  await contender.stop()
  return lines
}

function figures(report: Report | undefined) {
  return {
    waiting: report?.status?.waiting,
    'refused: p50 (ms)': quantile(report?.refusedMs ?? [], 0.5),
    'p99 (ms)': quantile(report?.refusedMs ?? [], 0.99),
    'heap (MB)': megabytes(report?.heap ?? 0),
    'resident (MB)': megabytes(report?.rss ?? 0)
  }
}

class Flood {
  readonly #agent = new Agent({ keepAlive: true })
  readonly #port: number
  readonly #open = new Set<Promise<void>>()
  #statuses: Record<string, number> = {}

  constructor(port: number) {
    this.#port = port
  }

  /** Counts the answers that came meanwhile. */
  async run(seconds: number): Promise<Record<string, number>> {
    const startedAt = performance.now()
    let sent = 0
    for (let elapsed = 0; elapsed < seconds; ) {
      await pause(TICK_MS)
      elapsed = (performance.now() - startedAt) / 1000
      for (; sent < elapsed * CAPACITY * TIMES; sent += 1) this.#send()
    }
    const statuses = this.#statuses
    this.#statuses = {}
    return { sent, ...statuses }
  }

  async end(): Promise<void> {
    await Promise.all(this.#open)
    this.#agent.destroy()
  }

  #send(): void {
    const answered = ask(this.#agent, this.#port, 'GET', '/slow').then(({ status }) => {
      const name = `HTTP ${status}`
      this.#statuses[name] = (this.#statuses[name] ?? 0) + 1
      this.#open.delete(answered)
    })
    this.#open.add(answered)
  }
}
