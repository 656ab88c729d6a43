import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { EVIDENCE_AND_IDENTITY, EvidencePart } from '../../src/client/evidence.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart, type Part } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { openClient, run, runScript } from '../fixtures/open-client.js'
import { until } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'
import { startStandby } from '../fixtures/standby.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int unique deferrable initially deferred)')
t.beforeEach(() => postgres.admin('truncate notes'))

const query = (text: string) => new QueryPart({ text }, [])
const insert = () => query('insert into notes values (1)')

function exchange(client: Client, ...parts: Part[]): Promise<unknown> {
  return client.run(new Exchange(parts, () => {}))
}

async function statusOf(xid: string): Promise<string> {
  const text = 'select pg_xact_status($1::xid8) status'
  const [row] = await postgres.admin<{ status: string }>(text, [xid])
  return row!.status
}

t.test('a write tells its transaction, where it stands, and which server it was', async t => {
  const client = await openClient(t, postgres.url)
  const part = new EvidencePart(undefined)
  await exchange(client, insert(), part)
  const evidence = part.read(client.pid)
  t.match(evidence, { xid: /^\d+$/, lsn: /^[0-9A-F]+\/[0-9A-F]+$/, timeline: '00000001' })
  t.equal(evidence?.pid, client.pid)
  t.equal(await statusOf(evidence!.xid), 'committed')
  const [row] = await postgres.admin('select system_identifier::text id from pg_control_system()')
  t.equal(evidence?.server.systemIdentifier, row?.id)
  t.ok(Number(evidence?.server.startedAt) > 1e9)
})

t.test('it arrives before the commit begins', async t => {
  const { proxy } = await startProtocolProxy(t, postgres)
  await postgres.admin(`create function wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(1); return null; end $$`)
  await postgres.admin(`create constraint trigger slow after insert on notes
    deferrable initially deferred for each row execute function wait()`)
  t.teardown(() => postgres.admin('drop function wait cascade'))
  await postgres.admin('select pg_advisory_lock(1)')
  const client = await openClient(t, proxy.url(postgres.url))
  const part = new EvidencePart(undefined)
  const committing = exchange(client, insert(), part)
  await until(() => part.read(client.pid) !== undefined)
  const { xid } = part.read(client.pid)!
  t.equal(await statusOf(xid), 'in progress', 'the commit waits for us')
  await postgres.admin('select pg_advisory_unlock(1)')
  await committing
  t.equal(await statusOf(xid), 'committed')
})

t.test('a server that is known is not asked which one it is', async t => {
  const client = await openClient(t, postgres.url)
  const first = new EvidencePart(undefined)
  await exchange(client, insert(), first)
  const second = new EvidencePart(first.server)
  t.ok(second.text.length < first.text.length)
  await exchange(client, query('delete from notes'), second)
  t.strictSame(second.read(1)?.server, first.server)
  t.ok(BigInt(second.read(1)!.xid) > BigInt(first.read(1)!.xid))
})

t.test('what took no transaction id has none to tell, but the server is known', async t => {
  const client = await openClient(t, postgres.url)
  for (const text of ['select 1', 'update notes set id = 2 where false', '']) {
    const part = new EvidencePart(undefined)
    await exchange(client, query(text), part)
    t.equal(part.read(client.pid), undefined, text)
    t.match(part.server, { systemIdentifier: /^\d+$/ })
  }
  const readOnly = new EvidencePart(undefined)
  const commit = new ControlPart('COMMIT')
  await exchange(client, new ControlPart('BEGIN READ ONLY'), query('select 1'), readOnly, commit)
  t.equal(readOnly.read(client.pid), undefined)
})

t.test('what failed, or has not answered yet, has told nothing', async t => {
  const client = await openClient(t, postgres.url)
  const part = new EvidencePart(undefined)
  t.equal(part.read(client.pid), undefined)
  await t.rejects(exchange(client, query('insert into notes select 1/0'), part), { code: '22012' })
  t.equal(part.read(client.pid), undefined)
  t.equal(part.server, undefined)
})

t.test('within a savepoint it is the transaction that is told', async t => {
  const client = await openClient(t, postgres.url)
  await runScript(client, 'begin; savepoint a')
  const part = new EvidencePart(undefined)
  await exchange(client, insert(), part)
  const { rows } = await run(client, 'select pg_current_xact_id()::text xid')
  t.equal(part.read(client.pid)?.xid, rows[0].xid)
  t.equal(await statusOf(rows[0].xid), 'in progress')
  await run(client, 'rollback')
  t.equal(await statusOf(rows[0].xid), 'aborted')
})

t.test('neither role nor search_path stand in its way', async t => {
  await postgres.admin('create role nobody')
  await postgres.admin('grant insert on notes to nobody')
  const client = await openClient(t, postgres.url)
  await runScript(
    client,
    `create schema evil;
     create domain evil.text as pg_catalog.text check (value is null);
     create function evil.substr(text, int, int) returns text return 'evil';
     create function evil.pg_walfile_name(pg_lsn) returns text return 'evil';
     create function evil.pg_current_xact_id_if_assigned() returns xid8 return '1'::xid8;
     grant usage on schema evil to nobody;
     set search_path = evil, public, pg_catalog; set role nobody`
  )
  const part = new EvidencePart(undefined)
  await exchange(client, query('insert into public.notes values (1)'), part)
  t.match(part.read(client.pid), { timeline: '00000001', server: { startedAt: /^\d/ } })
  t.equal(await statusOf(part.read(client.pid)!.xid), 'committed')
})

t.test('it has no part in the answer of the statement in front of it', async t => {
  const client = await openClient(t, postgres.url)
  const query = new QueryPart({ text: 'insert into notes values (1), (2) returning id' }, [])
  await exchange(client, query, new EvidencePart(undefined))
  t.match(query.result, { command: 'INSERT', rowCount: 2, rows: [{ id: 1 }, { id: 2 }] })
  t.equal((query.result as { fields: unknown[] }).fields.length, 1)
})

t.test('a standby has nothing to tell, and its statement does not fail', async t => {
  const standby = await startStandby(t, postgres)
  const client = await openClient(t, standby.url)
  for (const begin of [[], [new ControlPart('BEGIN')], [new ControlPart('BEGIN READ ONLY')]]) {
    const part = new EvidencePart(undefined)
    const read = query('select count(*)::int n from notes')
    await exchange(client, ...begin, read, part)
    t.match(read.result, { rows: [{ n: 0 }] })
    t.equal(part.read(client.pid), undefined)
    t.match(part.server, { systemIdentifier: /^\d+$/ })
    if (client.isInTransaction) await run(client, 'commit')
  }
  const { rows } = await run(client, EVIDENCE_AND_IDENTITY)
  t.equal(rows.length, 1)
})
