import pg from 'pg'
import t from 'tap'
import { SharedReads } from '../src/shared-reads.js'
import { FakeClock } from './fixtures/fake-clock.js'
import { openEngine, requestOf, until } from './fixtures/open-engine.js'
import { roundTripsOf } from './fixtures/open-proxied.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProtocolProxy } from './fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int); insert into notes select generate_series(1, 9)')
await postgres.admin('create table others (id int)')

const text = 'select id from notes where id = $1'

t.test('reads of several callers share a client and a trip, each with its result', async t => {
  const protocol = await startProtocolProxy(t, postgres)
  const { engine } = openEngine(t, protocol.proxy.url(postgres.url))
  await engine.query(text, [1])
  const conversation = protocol.conversations.at(-1)!
  conversation.mark()
  const clock = new FakeClock()
  const shared = new SharedReads({ open: () => requestOf(engine), clock })
  const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9]
  const results = await Promise.all(ids.map(id => shared.run({ text }, [id])))
  t.same(
    results.map(({ rows }) => rows[0]?.id),
    ids
  )
  t.equal(roundTripsOf(conversation), 1)
  t.match(engine.status(), { checkedOut: 0, idle: 1, counters: { checkouts: 2, connects: 1 } })
  t.same(clock.pending, { foreground: 0, background: 0 })
})

t.test('none joins them for long', async t => {
  const { engine } = openEngine(t, postgres.url)
  await engine.query(text, [1])
  let now = 0
  const clock = { now: () => now, setTimer: () => ({ cancel() {} }) }
  const shared = new SharedReads({ open: () => requestOf(engine), clock })
  const { checkouts } = engine.status().counters
  const reads = [shared.run({ text }, [1]), shared.run({ text }, [2])]
  now += 10
  reads.push(shared.run({ text }, [3]))
  await Promise.all(reads)
  t.equal(engine.status().counters.checkouts, checkouts + 2)
})

t.test('an error is its own, and leads to whoever ran the statement', async t => {
  const { engine } = openEngine(t, postgres.url)
  const fails = async function theCulprit() {
    await engine.query('select 1/(id - id) from notes')
  }
  const [good, bad, alsoGood] = await Promise.allSettled([
    engine.query(text, [1]),
    fails(),
    engine.query(text, [2])
  ])
  t.match([good, alsoGood], [{ status: 'fulfilled' }, { status: 'fulfilled' }])
  t.match(bad, { status: 'rejected', reason: { code: '22012', stack: /theCulprit/ } })
})

t.test('only what has no effect, and nobody wants to call off, is sent among others', async t => {
  const { signal } = new AbortController()
  const alone = [
    { text: 'insert into notes values (1)' },
    { text: 'select pg_sleep(0)' },
    { text: 'select 1; select 2' },
    { text, signal },
    { text, timeout: 1 },
    { text, readOnly: true },
    { text, name: 'mine' },
    { text: undefined as never },
    { text, submit: () => {} }
  ]
  for (const config of alone) t.equal(SharedReads.mayShare(config), false, JSON.stringify(config))
  t.ok(SharedReads.mayShare({ text, values: [1] }))
})

t.test('no more than so many are together', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 5 })
  const results = await Promise.all(Array.from({ length: 70 }, () => engine.query(text, [1])))
  t.equal(results.length, 70)
  t.ok(engine.status().size > 1)
  await until(() => engine.status().checkedOut === 0)
})

t.test('a read behind one that waits for a lock is run elsewhere', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 5 })
  const { blocked } = await engine.transaction(async tx => {
    await tx.query('lock table others in access exclusive mode')
    const blocked = engine.query('select id from others')
    // What this transaction waits for, stands behind what waits for this transaction.
    t.match((await engine.query(text, [1])).rows, [{ id: 1 }])
    return { blocked }
  })
  t.same((await blocked).rows, [], 'it goes on when the lock is free')
  await until(() => engine.status().checkedOut === 0)
})

t.test('elsewhere, too, an error is the caller’s', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 5 })
  const { blocked } = await engine.transaction(async tx => {
    await tx.query('lock table others in access exclusive mode')
    const blocked = engine.query('select id from others')
    await t.rejects(engine.query('select 1/(id - id) from notes'), { code: '22012' })
    return { blocked }
  })
  t.same((await blocked).rows, [])
  await until(() => engine.status().checkedOut === 0)
})

t.test('where there is no client elsewhere, it waits for the answer where it is', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0, pool_timeout: 0 })
  await engine.query(text, [1])
  const locker = new pg.Client(postgres.url)
  await locker.connect()
  await locker.query('begin; lock table others in access exclusive mode')
  const reads = [engine.query('select id from others'), engine.query(text, [2])]
  await until(() => engine.status().counters.timeouts > 0)
  await locker.end()
  t.match(await Promise.all(reads), [{ rows: [] }, { rows: [{ id: 2 }] }])
})

t.test('where no client is free, each waits for its own turn', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  const held = await engine.connect()
  const reads = [engine.query(text, [1]), engine.query(text, [2])]
  t.equal(engine.status().waiting, 2)
  held.release()
  t.match(await Promise.all(reads), [{ rows: [{ id: 1 }] }, { rows: [{ id: 2 }] }])
})

t.test('a client lost under them costs nobody its answer', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 5 })
  await engine.query(text, [1])
  let isOver = false
  const answers: number[] = Array.from({ length: 20 }, () => 0)
  const reader = async (_: unknown, id: number) => {
    while (!isOver) {
      const { rows } = await engine.query(text, [id % 9 || 9])
      if (rows.length !== 1 || rows[0]?.id !== (id % 9 || 9)) t.fail('the answer of another')
      answers[id] = (answers[id] ?? 0) + 1
    }
  }
  const readers = Promise.all(answers.map(reader))
  for (let kills = 0; kills < 10; kills += 1) {
    await postgres.terminateBackends()
    // One read is run again twice, not for ever.
    const before = [...answers]
    await until(() => answers.every((n, id) => n > (before[id] ?? 0)))
  }
  isOver = true
  await readers
  t.equal(engine.status().checkedOut, 0)
})

t.test('however many are lost with one client, all are run again', async t => {
  const { engine } = openEngine(t, postgres.url, { pool_size: 1, max_overflow: 0 })
  await engine.query(text, [1])
  const locker = new pg.Client(postgres.url)
  await locker.connect()
  t.teardown(() => locker.end())
  const { rows } = await locker.query('select pg_backend_pid() pid')
  await locker.query('begin; lock table others in access exclusive mode')
  const clock = new FakeClock()
  const shared = new SharedReads({ open: () => requestOf(engine), clock })
  const reads = Array.from({ length: 12 }, () =>
    shared.run({ text: 'select id from others' }, undefined)
  )
  await postgres.untilBackends({ where: "wait_event_type = 'Lock'" })
  await postgres.admin(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where wait_event_type = 'Lock' and pid <> ${rows[0].pid}`
  )
  await locker.query('rollback')
  t.match(
    (await Promise.allSettled(reads)).map(({ status }) => status),
    Array.from({ length: 12 }, () => 'fulfilled')
  )
})
