import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres
} from '../../example-app/embedded-postgres.js'
import { Contender, FLASK, hasFlask, type Report } from './contender.js'
import { type Answer, Load } from './load.js'
import { answersByStatus, quantile, query, SCHEMA, verdictsOn } from './verdict.js'

const HELP = `npm run bench:outage -- [options]

A real PostgreSQL is restarted under load: what do HTTP clients get to see? Requests per second are those of the second
before the outage, and of the last one after it; all but the times are counts.

  --workers N     HTTP clients with one request at a time; one in four inserts a row (default 32)
  --only TEXT     servers whose name contains it
  --outage TEXT   outages whose name contains it
`
const CONTENDERS = [
  'ours',
  'ours, transactions with retries',
  '@fastify/postgres',
  '@fastify/postgres, with error listeners',
  'postgres.js',
  ...(hasFlask() ? [FLASK] : [])
]
const OUTAGES: Record<string, (postgres: EmbeddedPostgres) => Promise<void>> = {
  'restart -m fast': postgres => postgres.restart('fast'),
  'restart -m immediate': postgres => postgres.restart('immediate'),
  '2 s down': async postgres => {
    await postgres.stop('fast')
    await pause(2000)
    await postgres.start()
  }
}
const SECOND = 1000
const BEFORE_MS = 2 * SECOND
const AFTER_MS = 2 * SECOND
/** With `recovery_timeout` 0: the first connect that fails has closed the gate by then. */
const CLOSED_BY_MS = 200
/** The first refusals are those of code that is not compiled yet: what they take is told by itself. */
const COLD_MS = SECOND
const REFUSING_MS = 6 * SECOND

const { values: options } = parseArgs({
  options: {
    workers: { type: 'string', default: '32' },
    only: { type: 'string', default: '' },
    outage: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})
const workers = Number(options.workers)

/** One line of the table. */
async function measure(postgres: EmbeddedPostgres, server: string, outage: string) {
  await query(postgres.url, SCHEMA)
  const contender = await new Contender(server, postgres.url).start()
  const load = new Load(contender.port, { workers })
  await pause(BEFORE_MS)
  const before = await contender.report()
  const startedAt = Date.now()
  await OUTAGES[outage]?.(postgres)
  const outageMs = Date.now() - startedAt
  const during = await contender.report()
  await pause(AFTER_MS)
  const endedAt = Date.now()
  await load.stop()
  const after = await contender.report()
  const { hasExited } = contender
  await contender.stop()
  return {
    outage,
    server,
    'outage (ms)': outageMs,
    ...answersByStatus(load.answers),
    '200/s before': servedIn(load.answers, startedAt - SECOND),
    '200/s after': servedIn(load.answers, endedAt - SECOND),
    connects: since(before, after),
    'of them while away': since(before, during),
    ...(await verdictsOn(load.answers, postgres.url)),
    process: hasExited ? 'exited' : 'alive'
  }
}

function since(before: Report | undefined, after: Report | undefined): number | string {
  return before && after ? after.connects - before.connects : '?'
}

function servedIn(answers: readonly Answer[], since: number): number {
  return answers.filter(({ at, status }) => status === '200' && at >= since && at < since + SECOND)
    .length
}

/** Of ours with `recovery_timeout` 0: how fast is who needs a new client told, once the gate is closed? */
async function measureRefusals(postgres: EmbeddedPostgres) {
  await query(postgres.url, SCHEMA)
  const contender = await new Contender('ours', postgres.url, { recovery_timeout: 0 }).start()
  const load = new Load(contender.port, { workers, isPatient: true })
  await pause(BEFORE_MS)
  await postgres.stop('fast')
  const stoppedAt = Date.now()
  await pause(CLOSED_BY_MS + COLD_MS)
  await contender.report()
  await pause(REFUSING_MS - COLD_MS)
  const report = await contender.report()
  const startedAt = Date.now()
  await postgres.start()
  await pause(SECOND)
  await load.stop()
  await contender.stop()
  const answers = load.answers.filter(
    ({ at, ms }) => at - ms > stoppedAt + CLOSED_BY_MS && at < startedAt
  )
  const warmAt = stoppedAt + CLOSED_BY_MS + COLD_MS
  const cold = answers.filter(({ at }) => at < warmAt).map(({ ms }) => ms)
  const times = answers.filter(({ at }) => at >= warmAt).map(({ ms }) => ms)
  return {
    answers: answers.length,
    'of them 503 with Retry-After': answers.filter(
      ({ mayRepeat, status }) => status === '503' && mayRepeat
    ).length,
    'p50 (ms)': quantile(times, 0.5),
    'p99 (ms)': quantile(times, 0.99),
    'p99 of the first second (ms)': quantile(cold, 0.99),
    'p99 within the server (ms)': quantile(report?.refusedMs ?? [], 0.99)
  }
}

async function main(): Promise<void> {
  if (options.help) {
    process.stdout.write(HELP)
    return
  }
  await using postgres = await startEmbeddedPostgres()
  const lines = []
  for (const outage of Object.keys(OUTAGES).filter(name => name.includes(options.outage))) {
    for (const server of CONTENDERS.filter(name => name.includes(options.only))) {
      lines.push(await measure(postgres, server, outage))
    }
  }
  console.table(lines)
  if (!'ours'.includes(options.only)) return
  console.log('recovery_timeout 0, the server is down:')
  console.table([await measureRefusals(postgres)])
}

await main()
