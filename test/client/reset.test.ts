import type { ClientBase } from 'pg'
import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart } from '../../src/client/parts.js'
import { type ResetMode, resetStatements } from '../../src/client/reset.js'
import { FakeClock } from '../fixtures/fake-clock.js'
import { openClient, pidOf, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { recordStatements } from '../fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create role somebody')
await postgres.admin('create sequence numbers')
await postgres.admin('create table notes (id int)')

async function resultOf(client: Client, text: string): Promise<unknown> {
  const { rows } = await run(client, text)
  return rows[0] && Object.values(rows[0])[0]
}

/** Each kind of session state: how it comes about, and a question whose answer must be the old one again. */
const SESSION_STATE: Record<string, [string, string]> = {
  settings: ["set work_mem = '1234kB'", 'show work_mem'],
  'settings of nobody': [
    "set my.own = 'x'",
    "select coalesce(current_setting('my.own', true), '')"
  ],
  role: ['set role somebody', 'select current_user'],
  'session authorization': ['set session authorization somebody', 'select session_user'],
  'time zone': ["set time zone 'Asia/Tokyo'", 'show time zone'],
  'search path': ["set search_path = 'nowhere'", 'show search_path'],
  'default isolation': [
    'set session characteristics as transaction isolation level serializable read only',
    "select current_setting('default_transaction_isolation') || current_setting('default_transaction_read_only')"
  ],
  'temporary tables': ['create temporary table t (a int)', "select to_regclass('pg_temp.t')"],
  'channels listened to': ['listen news', 'select count(*)::int from pg_listening_channels()'],
  'advisory locks': [
    'select pg_advisory_lock(1), pg_advisory_lock_shared(2)',
    "select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
  ],
  'cursors with hold': [
    'declare c cursor with hold for select 1',
    'select count(*)::int from pg_cursors'
  ],
  'statements prepared by SQL': [
    'prepare "a ""b" as select 1',
    'select count(*)::int from pg_prepared_statements where from_sql'
  ],
  'a statement timeout': ["set statement_timeout = '1h'", 'show statement_timeout']
}

t.test('nothing is sent in the common case, and never for reset null', t => {
  t.same(resetStatements('rollback', false, true), [])
  t.same(resetStatements('rollback', true, true), ['ROLLBACK'])
  t.same(resetStatements('discard', false, false), [])
  t.same(resetStatements(null, true, true), [])
  t.equal(resetStatements('discard', true, true).length, 2)
  t.equal(resetStatements('discard', true, true)[0], 'ROLLBACK')
  t.end()
})

for (const [what, [set, ask]] of Object.entries(SESSION_STATE)) {
  t.test(`X55: discard clears ${what}`, async t => {
    const client = await openClient(t, postgres.url, { resetMode: 'discard' })
    const before = await resultOf(client, ask)
    await run(client, set)
    t.not(await resultOf(client, ask), before, 'there is something to clear')
    await client.reset()
    t.equal(await resultOf(client, ask), before)
  })
}

t.test('X55: discard clears what a sequence remembers', async t => {
  const client = await openClient(t, postgres.url, { resetMode: 'discard' })
  await run(client, "select nextval('numbers')")
  await client.reset()
  await t.rejects(run(client, "select currval('numbers')"), { code: '55000' })
})

t.test(
  'discard keeps what was prepared over the protocol, since the driver would use it',
  async t => {
    const client = await openClient(t, postgres.url, { resetMode: 'discard' })
    const prepared = { name: 'kept', text: 'select $1::int x', values: [1] }
    await run(client, prepared)
    await run(client, 'prepare mine as select 2')
    await client.reset()
    t.match(await run(client, prepared), { rows: [{ x: 1 }] })
    await t.rejects(run(client, 'execute mine'), { code: '26000' })
  }
)

t.test('discard is for sessions that were used, by us or by a library', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const client = await openClient(t, proxy.url(postgres.url), { resetMode: 'discard' })
  t.equal(client.reset(), undefined)
  await client.ping(60_000)
  t.equal(client.reset(), undefined, 'a ping is no use')
  t.same(statements, [])
  await client.expose().query("set work_mem = '1234kB'")
  await client.reset()
  t.equal(statements.length, 2)
  t.equal(client.reset(), undefined, 'once is enough')
})

t.test('discard leaves a failed transaction first', async t => {
  const client = await openClient(t, postgres.url, { resetMode: 'discard' })
  await run(client, 'begin')
  await run(client, "set work_mem = '1234kB'")
  await t.rejects(run(client, 'select 1/0'))
  await client.reset()
  t.equal(client.isInTransaction, false)
  t.equal(await resultOf(client, 'show work_mem'), '4MB')
})

const states: [string, string[]][] = [
  ['open', ['begin', 'insert into notes values (1)']],
  ['failed', ['begin', 'insert into notes values (1)', 'select 1/0']]
]
for (const [state, texts] of states) {
  t.test(`T14 T27: rollback ends a transaction that is ${state}, with one statement`, async t => {
    const proxy = await startProxy(t, postgres)
    const statements = recordStatements(proxy)
    const client = await openClient(t, proxy.url(postgres.url))
    for (const text of texts) await run(client, text).catch(() => {})
    await client.reset()
    t.same(statements, [...texts, 'ROLLBACK'])
    t.equal(client.isInTransaction, false)
    t.equal(await resultOf(client, 'select count(*)::int from notes'), 0)
  })
}

t.test('T15 T28 T29 T30 T39: nothing is sent for a session that is idle, used or not', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const client = await openClient(t, proxy.url(postgres.url))
  t.equal(client.reset(), undefined)
  for (const end of ['rollback', 'commit']) {
    await run(client, 'begin')
    await run(client, end)
    t.equal(client.reset(), undefined)
  }
  t.same(statements, ['begin', 'rollback', 'begin', 'commit'])
})

t.test('null leaves everything as it is, an open transaction too', async t => {
  const client = await openClient(t, postgres.url, { resetMode: null })
  await run(client, 'begin')
  t.equal(client.reset(), undefined)
  t.equal(client.isInTransaction, true)
})

t.test('a listener has its turn before the reset, and what it throws costs the client', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const calls: boolean[] = []
  let reason: Error | undefined
  const beforeReset = async (raw: ClientBase, inTransaction: boolean) => {
    calls.push(inTransaction)
    await raw.query("select 'listener'")
    if (reason) throw reason
  }
  const client = await openClient(t, proxy.url(postgres.url), { beforeReset })
  await client.reset()
  await run(client, 'begin')
  await client.reset()
  t.same(calls, [false, true])
  t.same(statements, ["select 'listener'", 'begin', "select 'listener'", 'ROLLBACK'])
  reason = new Error('not fit')
  await t.rejects(client.reset()!, reason)
})

t.test('a listener that leaves its own work running makes the reset fail', async t => {
  const beforeReset = async (raw: ClientBase) => {
    raw.query("select pg_sleep(60), 'left'").catch(() => {})
  }
  const client = await openClient(t, postgres.url, { beforeReset })
  await t.rejects(client.reset()!, { message: 'The session is still busy' })
  await postgres.terminateBackends({ pids: [pidOf(client)] })
})

t.test('a session that dies during its reset is not fit for anybody', async t => {
  for (const resetMode of ['rollback', 'discard'] satisfies ResetMode[]) {
    const client = await openClient(t, postgres.url, { resetMode })
    await run(client, 'begin')
    const pid = pidOf(client)
    postgres.freeze(pid)
    await postgres.admin('select pg_terminate_backend($1)', [pid])
    const reset = t.rejects(client.reset()!, { code: '57P01' })
    postgres.thaw(pid)
    await reset
    t.match(client.lost, { code: '57P01' })
  }
  const beforeReset = async () => {
    const ended = new Promise(resolve => client.raw.once('end', resolve))
    await postgres.terminateBackends({ pids: [pidOf(client)] })
    await ended
  }
  const client = await openClient(t, postgres.url, { beforeReset })
  const reset = client.reset()
  await t.rejects(reset!, { code: '57P01' })
})

t.test('a reset that is not answered ends in time, and so does the session', async t => {
  const clock = new FakeClock()
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  await run(client, 'begin')
  proxy.freeze()
  const reset = t.rejects(client.reset()!)
  await clock.advance(4999)
  t.equal(client.lost, undefined)
  await clock.advance(1)
  await reset
  t.match(client.lost, { message: /not reset within 5000 ms/ })
  t.equal(client.raw.connection.stream.destroyed, true)
})

t.test('a listener that hangs does not keep the session for ever', async t => {
  const clock = new FakeClock()
  const beforeReset = () => new Promise<never>(() => {})
  const client = await openClient(t, postgres.url, { clock, beforeReset })
  const reset = t.rejects(client.reset()!, { message: /not reset within 5000 ms/ })
  await clock.advance(5000)
  await reset
  t.match(client.lost, { message: /not reset within 5000 ms/ })
})

t.test('nor does a COMMIT that is not answered', async t => {
  const clock = new FakeClock()
  const proxy = await startProxy(t, postgres)
  const client = await openClient(t, proxy.url(postgres.url), { clock })
  await owing(client)
  proxy.freeze()
  const reset = t.rejects(client.reset()!, { message: /not reset within 5000 ms/ })
  await clock.advance(5000)
  await reset
  t.match(client.lost, { message: /not reset within 5000 ms/ })
})

t.test(
  'a session that owes a COMMIT is fit for one who waits, and for others behind it',
  async t => {
    const client = await openClient(t, postgres.url)
    await owing(client)
    t.equal(client.reset(true), undefined)
    t.equal(client.reset(true), undefined, 'nothing was sent')
    await client.reset(false)
    t.equal(client.raw.getTransactionStatus(), 'I')
  }
)

/** Leaves a session in a transaction that is over but for its COMMIT. */
async function owing(client: Client): Promise<void> {
  await client.run(new Exchange([new ControlPart('BEGIN')], () => {}))
  client.lateCommit.begin('read committed', [new ControlPart('COMMIT')])
}
