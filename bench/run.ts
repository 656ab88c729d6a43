import { parseArgs } from 'node:util'
import pg from 'pg'
import { startEmbeddedPostgres } from '../example-app/embedded-postgres.js'
import { type LoadResult, load } from './load.js'
import { ServerProcess, WireProxy } from './processes.js'
import { SCHEMA, servers } from './server/servers.js'

const HELP = `npm run bench -- [options]

Requests to small Fastify servers, which differ in what brings a statement to PostgreSQL. All are measured in one run
and in turn, so that what slows the machine down slows all of them.

  --seconds N          of load for each figure and round (default 2)
  --rounds N           the median counts (default 3)
  --connections LIST   of HTTP, busy at the same time (default 1,10,50,200)
  --delay LIST         milliseconds added to each answer of PostgreSQL (default 0,2)
  --only LIST          those whose "server /route" contains one of them; the baseline is measured besides
`
const BASELINE = '@fastify/postgres /read'
const WARM_UP = { seconds: 0.5 }
const COUNTED_REQUESTS = 200

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '1,10,50,200' },
    delay: { type: 'string', default: '0,2' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})

/** A server's route: one line of the tables. */
interface Contender {
  readonly label: string
  readonly path: string
  readonly server: ServerProcess
}

interface Figures extends LoadResult {
  /** Times the baseline's requests per second, in the same round. */
  readonly ratio: number
  /** Of the server's process, in microseconds a request. */
  readonly cpu: number
}

const ROUTES = ['/read', '/app-read', '/transaction', '/route-transaction', '/five-reads']
const OWN_ROUTES = ['/app-read', '/route-transaction']

function routesOf(server: string): string[] {
  if (server === 'pg held') return ['/read', '/transaction']
  if (server === 'socket held') return ['/read']
  if (server === 'pg pipelined') return ['/read', '/five-reads']
  return ROUTES.filter(route => server.startsWith('ours') || !OWN_ROUTES.includes(route))
}

async function startContenders(url: string): Promise<Contender[]> {
  const contenders: Contender[] = []
  for (const name of Object.keys(servers)) {
    const wanted = routesOf(name)
      .map(path => ({ label: `${name} ${path}`, path }))
      .filter(
        ({ label }) =>
          label === BASELINE || options.only.split(',').some(text => label.includes(text))
      )
    if (wanted.length === 0) continue
    const server = await new ServerProcess(name, url).start()
    for (const one of wanted) contenders.push({ ...one, server })
  }
  return contenders
}

async function measure(contenders: Contender[], connections: number): Promise<void> {
  const rounds = new Map<Contender, Figures[]>(contenders.map(one => [one, []]))
  for (const { server, path } of contenders) await load(server.port, path, connections, WARM_UP)
  for (let round = 0; round < Number(options.rounds); round += 1) {
    let baseline = 0
    for (const contender of contenders) {
      const { server, path } = contender
      const cpuBefore = await server.cpu()
      const seconds = Number(options.seconds)
      const result = await load(server.port, path, connections, { seconds })
      const cpu = ((await server.cpu()) - cpuBefore) / result.requests
      baseline ||= result.perSecond
      rounds.get(contender)?.push({ ...result, cpu, ratio: result.perSecond / baseline })
    }
  }
  print(['', 'req/s', 'ratio', 'p50 ms', 'p99 ms', 'CPU us/req'])
  for (const [{ label }, figures] of rounds) {
    const of = (name: keyof Figures) => median(figures.map(one => one[name]))
    print([
      label,
      of('perSecond').toFixed(0),
      of('ratio').toFixed(2),
      of('p50').toFixed(3),
      of('p99').toFixed(3),
      of('cpu').toFixed(0)
    ])
  }
}

/** One request after the other on one connection, so that what passes in one round trip can be told. */
async function count(contenders: Contender[], proxy: WireProxy): Promise<void> {
  print(['on the wire, a request', 'round trips', 'bytes out', 'bytes in'])
  for (const { label, path, server } of contenders) {
    await load(server.port, path, 1, { requests: COUNTED_REQUESTS })
    await proxy.turn(0)
    await load(server.port, path, 1, { requests: COUNTED_REQUESTS })
    const { roundTrips, bytesToServer, bytesToClient } = await proxy.turn(0)
    const each = [roundTrips, bytesToServer, bytesToClient].map(sum => sum / COUNTED_REQUESTS)
    print([label, ...each.map(value => value.toFixed(2))])
  }
}

function print(cells: string[]): void {
  const [first = '', ...others] = cells
  process.stdout.write(`${first.padEnd(40)}${others.map(cell => cell.padStart(12)).join('')}\n`)
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function numbers(list: string): number[] {
  return list.split(',').map(Number)
}

async function run(): Promise<void> {
  await using server = await startEmbeddedPostgres({ settings: { max_connections: '500' } })
  const admin = new pg.Client(server.url)
  await admin.connect()
  await admin.query(SCHEMA)
  await admin.end()

  const proxy = await new WireProxy(server.port).start()
  const proxied = new URL(server.url)
  proxied.port = String(proxy.port)
  const direct = await startContenders(server.url)
  const slow = await startContenders(proxied.href)

  await count(slow, proxy)
  for (const delay of numbers(options.delay)) {
    await proxy.turn(delay)
    for (const connections of numbers(options.connections)) {
      process.stdout.write(`\n${connections} connections, ${delay} ms network delay\n`)
      await measure(delay === 0 ? direct : slow, connections)
    }
  }
  const processes = new Set([...direct, ...slow].map(one => one.server))
  for (const one of [...processes, proxy]) await one.stop()
}

if (options.help) process.stdout.write(HELP)
else await run()
