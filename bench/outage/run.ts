import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres
} from '../../example-app/embedded-postgres.js'
import { Contender, FLASK, hasFlask } from './contender.js'
import { type Answer, Load } from './load.js'

const HELP = `npm run bench:outage -- [options]

A real PostgreSQL is restarted under load: what do HTTP clients get to see? All figures but the longest answer and the
outage itself are counts.

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
const BEFORE_MS = 1000
const AFTER_MS = 2000

const { values: options } = parseArgs({
  options: {
    workers: { type: 'string', default: '32' },
    only: { type: 'string', default: '' },
    outage: { type: 'string', default: '' },
    help: { type: 'boolean', default: false }
  }
})

/** One line of the table. */
async function measure(postgres: EmbeddedPostgres, server: string, outage: string) {
  await query(postgres, 'drop table if exists note; create table note (id int)')
  const contender = await new Contender(server, postgres.url).start()
  const load = new Load(contender.port, Number(options.workers))
  await pause(BEFORE_MS)
  const connectsBefore = await contender.connects()
  const startedAt = performance.now()
  await OUTAGES[outage]?.(postgres)
  const outageMs = performance.now() - startedAt
  await pause(AFTER_MS)
  await load.stop()
  const connects = await contender.connects()
  const { hasExited } = contender
  await contender.stop()
  const rows = await query<{ id: number; count: number }>(
    postgres,
    'select id, count(*)::int from note group by id'
  )
  return {
    outage,
    server,
    'outage (ms)': Math.round(outageMs),
    ...answersByStatus(load.answers),
    'longest (ms)': Math.round(Math.max(...load.answers.map(({ ms }) => ms))),
    connects:
      connects === undefined || connectsBefore === undefined ? '?' : connects - connectsBefore,
    ...verdictsOn(load.answers, new Map(rows.map(({ id, count }) => [id, count]))),
    process: hasExited ? 'exited' : 'alive'
  }
}

function answersByStatus(answers: readonly Answer[]) {
  const of = (status: string) => answers.filter(answer => answer.status === status).length
  return { 200: of('200'), 500: of('500'), 503: of('503'), none: of('none'), hung: of('hung') }
}

/** Answers against what is in the table. */
function verdictsOn(answers: readonly Answer[], rows: ReadonlyMap<number, number>) {
  const writes = answers.filter(({ id }) => id !== undefined)
  const isThere = ({ id = 0 }: Answer) => rows.has(id)
  return {
    lost: writes.filter(write => write.status === '200' && !isThere(write)).length,
    doubled: [...rows.values()].filter(count => count > 1).length,
    'wrongly told to repeat': writes.filter(write => write.mayRepeat && isThere(write)).length
  }
}

async function query<Row extends pg.QueryResultRow>(
  postgres: EmbeddedPostgres,
  text: string
): Promise<Row[]> {
  const client = new pg.Client(postgres.url)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
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
}

await main()
