import t from 'tap'
import type { Client } from '../src/client/client.js'
import type { Evidence } from '../src/client/evidence.js'
import type { DoubtVerdict } from '../src/doubt.js'
import { openClient } from './fixtures/open-client.js'
import { begin, end, openDoubt } from './fixtures/open-doubt.js'
import { startPostgres } from './fixtures/postgres.js'

/** Nothing but a synchronous COMMIT has the log written: all else is lost in a crash. */
const postgres = await startPostgres(t, {
  synchronous_commit: 'off',
  wal_writer_delay: '10s',
  wal_level: 'minimal',
  max_wal_senders: '0',
  autovacuum: 'off',
  checkpoint_timeout: '1d'
})
await postgres.admin('create table entries (id int, filler text)')
await postgres.admin('checkpoint')

interface Written {
  readonly id: number
  readonly evidence: Evidence
  readonly client: Client
}
let ids = 0

async function write(filler = ''): Promise<Written> {
  const client = await openClient(t, postgres.url)
  ids += 1
  const id = ids
  const evidence = await begin(client, `insert into entries values (${id}, '${filler}')`)
  return { id, evidence, client }
}

async function writeMany(count: number): Promise<Written[]> {
  const written: Written[] = []
  for (let n = 0; n < count; n += 1) written.push(await write())
  return written
}

/** What is really so, after a server was started again: whatever is not there is gone for good. */
async function truthOf({ id }: Written): Promise<DoubtVerdict> {
  const rows = await postgres.admin('select from entries where id = $1', [id])
  return rows.length > 0 ? 'committed' : 'aborted'
}

function verdictOn({ evidence }: Written): Promise<DoubtVerdict> {
  return openDoubt(t, postgres.url).doubt.resolve(evidence)
}

async function isNoLie(written: Written): Promise<boolean> {
  const verdict = await verdictOn(written)
  return verdict === 'unknown' || verdict === (await truthOf(written))
}

/** Has others commit until the ids of all these transactions are given out; tells which were given out again. */
async function giveOut(written: readonly Written[]): Promise<string[]> {
  const given: string[] = []
  const wanted = written.map(({ evidence }) => evidence.xid)
  const last = Math.max(...wanted.map(Number))
  const insert = 'insert into entries values (0) returning pg_current_xact_id()::text xid'
  do {
    const [row] = await postgres.admin<{ xid: string }>(insert)
    given.push(row!.xid)
  } while (Number(given.at(-1)) < last)
  return wanted.filter(xid => given.includes(xid))
}

t.test('a server that was restarted cleanly knows what it has committed, and what not', async t => {
  const [committed, aborted, open] = await writeMany(3)
  await end(committed!.client, 'COMMIT')
  await end(aborted!.client, 'ROLLBACK')
  await postgres.restart('fast')
  t.equal(await verdictOn(committed!), 'committed')
  t.equal(await verdictOn(aborted!), 'aborted')
  t.equal(await verdictOn(open!), 'aborted')
  await postgres.restart('fast')
  t.equal(await verdictOn(committed!), 'committed')
  await postgres.admin('checkpoint')
  t.not(await verdictOn(committed!), 'aborted')
  t.not(await verdictOn(open!), 'committed')
})

t.test('what was committed before a crash, and written, is never said to be undone', async t => {
  const [open, kept] = await writeMany(2)
  await end(kept!.client, 'SET LOCAL synchronous_commit = on')
  await end(kept!.client, 'COMMIT')
  await postgres.restart('immediate')
  t.equal(await truthOf(kept!), 'committed')
  t.not(await verdictOn(kept!), 'aborted')
  t.equal(await verdictOn(open!), 'aborted')
})

t.test(
  'what a crash has undone is never said to be committed, though its id is another’s now',
  async t => {
    const written = await writeMany(6)
    await end(written[0]!.client, 'COMMIT')
    await end(written[1]!.client, 'COMMIT')
    await postgres.restart('immediate')
    for (const one of written) t.ok(await isNoLie(one))
    const again = await giveOut(written)
    t.ok(again.length > 0, `${again.length} ids were given out again`)
    for (const one of written) t.ok(await isNoLie(one))
  }
)

t.test('nor when the server was restarted cleanly after the crash', async t => {
  const written = await writeMany(4)
  await postgres.restart('immediate')
  const again = await giveOut(written)
  t.ok(again.length > 0, `${again.length} ids were given out again`)
  await postgres.restart('fast')
  for (const one of written) t.not(await verdictOn(one), 'committed')
})

t.test('nor when it crashed once more', async t => {
  const written = await writeMany(4)
  await postgres.restart('immediate')
  const again = await giveOut(written)
  t.ok(again.length > 0, `${again.length} ids were given out again`)
  // So that the second crash does not lose what the first one let others commit.
  await postgres.admin('checkpoint')
  await postgres.restart('immediate')
  for (const one of written) t.not(await verdictOn(one), 'committed')
})

t.test('nor when a checkpoint was made after the crash', async t => {
  const written = await writeMany(4)
  await postgres.restart('immediate')
  await giveOut(written)
  await postgres.admin('checkpoint')
  for (const one of written) t.not(await verdictOn(one), 'committed')
})

t.test('nor when it was a crash that the postmaster has survived', async t => {
  const written = await writeMany(4)
  const victim = await openClient(t, postgres.url)
  const isOver = new Promise(resolve => written[3]!.client.raw.once('end', resolve))
  process.kill(victim.pid, 'SIGKILL')
  await isOver
  t.not(await verdictOn(written[0]!), 'committed')
  const again = await giveOut(written)
  t.ok(again.length > 0, `${again.length} ids were given out again`)
  for (const one of written) t.not(await verdictOn(one), 'committed')
})

t.test('nor when the log breaks off within its own record, at the end of a page', async t => {
  const FILLER = 'x'.repeat(100)
  await fillPageTo(1024)
  const before = await insertedTo()
  const sample = await write(FILLER)
  await end(sample.client, 'ROLLBACK')
  const size = positionOf(sample.evidence.lsn) - before
  // 24 bytes of the record, behind the header of 24 that each page has, come to stand on the next page.
  await fillPageTo(PAGE - size + 24)
  const torn = await write(FILLER)
  const boundary = Math.floor(positionOf(torn.evidence.lsn) / PAGE) * PAGE
  t.equal(positionOf(torn.evidence.lsn) - boundary, 48)
  // Wakes the log's writer, which writes whole pages.
  await postgres.admin('select pg_reload_conf()')
  while ((await writtenTo()) < boundary);
  t.equal(await writtenTo(), boundary)

  await postgres.restart('immediate')
  t.not(await verdictOn(torn), 'committed')
  t.same(await giveOut([torn]), [torn.evidence.xid])
  t.not(await verdictOn(torn), 'committed')
})

const PAGE = 8192

function positionOf(lsn: string): number {
  const [high = '', low = ''] = lsn.split('/')
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16)
}

async function positionBy(fn: string): Promise<number> {
  const [row] = await postgres.admin<{ lsn: string }>(`select ${fn}()::text lsn`)
  return positionOf(row!.lsn)
}
const insertedTo = () => positionBy('pg_current_wal_insert_lsn')
const writtenTo = () => positionBy('pg_current_wal_lsn')

/** Writes to the log, as no transaction, until its next record begins there on its page. */
async function fillPageTo(offset: number): Promise<void> {
  const emit = `select pg_logical_emit_message(false, '', repeat('x', $1))`
  for (;;) {
    const missing = (offset - ((await insertedTo()) % PAGE) + PAGE) % PAGE
    if (missing === 0) return
    // What a message without contents takes is found out by trying.
    const start = await insertedTo()
    await postgres.admin(emit, [0])
    const empty = (await insertedTo()) - start
    const rest = (offset - ((await insertedTo()) % PAGE) + PAGE) % PAGE
    const fits = rest >= empty && rest <= offset
    await postgres.admin(emit, [fits ? rest - empty : PAGE / 2])
  }
}
