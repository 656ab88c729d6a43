import { setTimeout as pause } from 'node:timers/promises'
import type { EmbeddedPostgres } from '../../example-app/embedded-postgres.js'
import { Contender } from './contender.js'
import { Load } from './load.js'
import { answersByStatus, query, SCHEMA, verdictsOn } from './verdict.js'

const WORKERS = 32
const BEFORE_MS = 2000
const FROZEN_MS = 10_000
const AFTER_MS = 8000
/** Looked at this often. */
const BUCKET_MS = 250
/** Of the rate before: this is full capacity, on a machine whose speed varies. */
const FULL = 0.7

/** The postmaster and all its processes are stopped as they are, with their sockets open, and go on later. */
export async function freeze(postgres: EmbeddedPostgres, server: string) {
  const unlimited = await freezeUnder('/note', postgres, server)
  if (!server.startsWith('ours')) return [unlimited]
  return [unlimited, await freezeUnder('/limited', postgres, server)]
}

async function freezeUnder(path: string, postgres: EmbeddedPostgres, server: string) {
  await query(postgres.url, SCHEMA)
  const contender = await new Contender(server, postgres.url).start()
  const load = new Load(contender.port, { workers: WORKERS, isPatient: true, path })
  await pause(BEFORE_MS)
  const pids = await processesOf(postgres)
  const frozenAt = Date.now()
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  await pause(FROZEN_MS)
  const thawedAt = Date.now()
  for (const pid of pids.toReversed()) process.kill(pid, 'SIGCONT')
  await pause(AFTER_MS)
  await load.stop()
  const report = await contender.report()
  await contender.stop()

  const served = load.answers.filter(({ status }) => status === '200')
  const between = (from: number, to: number) =>
    served.filter(({ at }) => at >= from && at < to).length
  const rate = between(frozenAt - 1000, frozenAt) * (BUCKET_MS / 1000)
  const bucket = Array.from({ length: AFTER_MS / BUCKET_MS }, (_, i) => thawedAt + i * BUCKET_MS)
  const isFull = (since: number) => between(since, since + BUCKET_MS) >= FULL * rate
  const detection = report?.events.find(({ name }) => name === 'generation')?.at
  const first = served.find(({ at }) => at > thawedAt)?.at
  const full = bucket.find(isFull)
  const since = (from: number, at: number | undefined) => (at === undefined ? 'never' : at - from)
  return {
    server: `${server}, ${path}`,
    ...answersByStatus(load.answers),
    'detected after (ms)': since(frozenAt, detection),
    'first 200 after SIGCONT (ms)': since(thawedAt, first),
    'full rate after SIGCONT (ms)': since(thawedAt, full === undefined ? full : full + BUCKET_MS),
    ...(await verdictsOn(load.answers, postgres.url)),
    'clients in the end': report?.status?.size
  }
}

/** The postmaster first, so that it starts nobody in the place of the others. */
async function processesOf({ pid, url }: EmbeddedPostgres): Promise<number[]> {
  const text = 'select pid from pg_stat_activity where pid <> pg_backend_pid()'
  const children = await query<{ pid: number }>(url, text)
  return [Number(pid), ...children.map(({ pid }) => pid)]
}
