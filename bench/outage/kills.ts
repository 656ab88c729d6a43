import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { EmbeddedPostgres } from '../../example-app/embedded-postgres.js'
import { Contender } from './contender.js'
import { Load } from './load.js'
import { answersByStatus, query, SCHEMA, verdictsOn } from './verdict.js'

const WORKERS = 32
const WARM_UP_MS = 3000
const KILLS_PER_SECOND = 50
const SECONDS = 30

const KILL_ONE = `
  select pg_terminate_backend(pid) from (
    select pid from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit 1
  ) as victim`

/** One backend after the other is ended, whatever it is doing. */
export async function kills(postgres: EmbeddedPostgres, server: string) {
  await query(postgres.url, SCHEMA)
  const contender = await new Contender(server, postgres.url).start()
  const load = new Load(contender.port, { workers: WORKERS })
  await pause(WARM_UP_MS)
  const before = await contender.report('collect')
  const served = load.answers.length
  const killed = await killFor(postgres.url)
  const perSecond = (load.answers.length - served) / SECONDS
  await load.stop()
  const after = await contender.report('collect')
  const backends = await query(
    postgres.url,
    "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
  )
  const { hasExited } = contender
  await contender.stop()
  return {
    server,
    kills: killed,
    ...answersByStatus(load.answers),
    '/s before': Math.round(served / (WARM_UP_MS / 1000)),
    '/s meanwhile': Math.round(perSecond),
    connects: before && after ? after.connects - before.connects : '?',
    replays: after?.status?.replays,
    'went down': after?.events.filter(({ name }) => name === 'down').length,
    ...(await verdictsOn(load.answers, postgres.url)),
    sessions: backends.length,
    'heap grown (MB)': before && after ? megabytes(after.heap - before.heap) : '?',
    process: hasExited ? 'exited' : 'alive'
  }
}

async function killFor(url: string): Promise<number> {
  const killer = new pg.Client(url)
  await killer.connect()
  const startedAt = performance.now()
  let killed = 0
  for (; killed < KILLS_PER_SECOND * SECONDS; killed += 1) {
    await killer.query(KILL_ONE)
    const dueAt = startedAt + ((killed + 1) * 1000) / KILLS_PER_SECOND
    await pause(Math.max(0, dueAt - performance.now()))
  }
  await killer.end()
  return killed
}

export function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
