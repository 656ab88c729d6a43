import { EventEmitter } from 'node:events'
import { performance } from 'node:perf_hooks'
import pg from 'pg'
import { systemClock } from '../../src/clock.js'
import { Pool } from '../../src/pool/pool.js'

/**
 * What a pool costs by itself: checkout and checkin of a client that does nothing, against `pg.Pool`, with an idle
 * client and with waiters. Compiled, since what a TypeScript loader adds to each function would be measured too.
 */
interface Borrowed {
  giveBack(): void
}
type Borrow = () => Promise<Borrowed>

const ROUNDS = 9
const TURNS = 20_000
const WAITERS = [10, 100, 1000, 10_000]

/** As much of `pg.Client` as `pg.Pool` looks at. */
class IdleClient extends EventEmitter {
  readonly _queryable = true
  connect(done: () => void): void {
    setImmediate(done)
  }
}

function ofPg(): Borrow {
  const pool = new pg.Pool({
    max: 1,
    Client: IdleClient as never,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 30_000
  })
  return async () => {
    const client = await pool.connect()
    return { giveBack: () => client.release() }
  }
}

function ofOurs(): Borrow {
  const client = {
    heardAt: performance.now(),
    lost: undefined,
    ping: async () => {},
    reset: () => undefined,
    close: async () => {}
  }
  const none = () => {}
  const pool = new Pool(
    {
      poolSize: 1,
      maxOverflow: 0,
      idleTimeout: 0,
      recycle: -1,
      recycleJitter: 0,
      isNullPool: false,
      isLifo: true,
      isPrePing: true,
      window: Number.POSITIVE_INFINITY,
      pingTimeout: 1000,
      timeout: 30_000,
      recoveryTimeout: 5000,
      maxWaiting: Number.POSITIVE_INFINITY
    },
    async () => client,
    systemClock,
    Math.random,
    {
      judge: () => ({ failure: 'statement', scope: 'none' }),
      checkout: none,
      checkin: none,
      softInvalidate: none,
      detach: none,
      generation: none,
      close: none,
      down: none,
      up: none
    }
  )
  return async () => {
    const lease = await pool.checkout()
    return { giveBack: () => pool.checkin(lease) }
  }
}

async function alone(borrow: Borrow): Promise<{ ns: number; bytes: number }> {
  for (let turn = 0; turn < TURNS; turn += 1) (await borrow()).giveBack()
  global.gc?.()
  const before = process.memoryUsage().heapUsed
  const start = cpuNanoseconds()
  for (let turn = 0; turn < TURNS; turn += 1) (await borrow()).giveBack()
  const ns = (cpuNanoseconds() - start) / TURNS
  return { ns, bytes: (process.memoryUsage().heapUsed - before) / TURNS }
}

/** Nanoseconds for each of those who wait at the same time for one client. */
async function waiting(borrow: Borrow, waiters: number): Promise<number> {
  const repetitions = Math.max(...WAITERS) / waiters
  // Not measured: it pays for memory that the figure before this one has used, and the collector has given back.
  await crowds(borrow, waiters, repetitions)
  const start = cpuNanoseconds()
  await crowds(borrow, waiters, repetitions)
  return (cpuNanoseconds() - start) / (waiters * repetitions)
}

async function crowds(borrow: Borrow, waiters: number, repetitions: number): Promise<void> {
  for (let repetition = 0; repetition < repetitions; repetition += 1) {
    const first = await borrow()
    const all = Array.from({ length: waiters }, async () => (await borrow()).giveBack())
    first.giveBack()
    await Promise.all(all)
  }
}

/** CPU time: what else runs on the machine does not count. */
function cpuNanoseconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

function line(label: string, cells: string[]): void {
  process.stdout.write(`${label.padEnd(28)}${cells.map(cell => cell.padStart(12)).join('')}\n`)
}

const pools: [string, Borrow][] = [
  ['pg.Pool', ofPg()],
  ['ours', ofOurs()]
]
const figures = new Map<string, number[]>()
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, borrow] of pools) {
    const { ns, bytes } = await alone(borrow)
    const row = [ns, bytes]
    for (const waiters of WAITERS) row.push(await waiting(borrow, waiters))
    row.forEach((value, column) => {
      const key = `${name} ${column}`
      figures.set(key, [...(figures.get(key) ?? []), value])
    })
  }
}
line('checkout + checkin', ['ns', 'bytes', ...WAITERS.map(waiters => `ns, ${waiters}`)])
for (const [name] of pools) {
  const columns = [...WAITERS.keys(), WAITERS.length, WAITERS.length + 1]
  line(
    name,
    columns.map(column => median(figures.get(`${name} ${column}`) ?? []).toFixed(0))
  )
}
process.exit()
