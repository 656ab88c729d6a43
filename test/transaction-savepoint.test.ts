import t from 'tap'
import type { Transaction } from '../src/transaction.js'
import { openEngine, requestOf, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'
import { startProxy } from './fixtures/proxy.js'
import { recordStatements } from './fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const state = { code: 'FST_DB_TRANSACTION_STATE' }
const pending = { code: 'FST_DB_PENDING_ROLLBACK' }
const no = new Error('no')

function insert(tx: Transaction, id: number) {
  return tx.query('insert into notes values ($1)', [id])
}

async function notes(): Promise<number[]> {
  const rows = await postgres.admin<{ id: number }>('select id from notes order by id')
  return rows.map(({ id }) => id)
}

t.test('T08: an inner transaction that throws is undone, and the outer one goes on', async t => {
  const { engine } = openEngine(t, postgres.url)
  await engine.transaction(async tx => {
    await insert(tx, 1)
    const failing = tx.transaction(async inner => {
      await insert(inner, 2)
      await insert(inner, 2)
    })
    await t.rejects(failing, { code: '23505' })
    t.equal(await tx.transaction(inner => insert(inner, 3).then(() => 'kept')), 'kept')
  })
  t.same(await notes(), [1, 3])
})

t.test('T31 T36 T37: nothing is sent but what is needed, in order', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    resolve_doubt: false,
    half_open_timeout: 0
  })
  await engine.transaction(async tx => {
    await tx.transaction(inner => inner.transaction(async () => {}))
    await t.rejects(
      tx.transaction(() => Promise.reject(no)),
      no
    )
  })
  const [, outer] = statements[1]?.split(' ') ?? []
  const [, inner] = statements[2]?.split(' ') ?? []
  t.not(outer, inner)
  t.same(statements, [
    'BEGIN',
    `SAVEPOINT ${outer}`,
    `SAVEPOINT ${inner}`,
    `RELEASE SAVEPOINT ${inner}`,
    `RELEASE SAVEPOINT ${outer}`,
    `SAVEPOINT ${outer}`,
    `ROLLBACK TO SAVEPOINT ${outer}`,
    `RELEASE SAVEPOINT ${outer}`,
    'COMMIT'
  ])
})

t.test('T35: an error that nobody catches undoes every level', async t => {
  const { engine } = openEngine(t, postgres.url)
  const failing = engine.transaction(async tx => {
    await insert(tx, 1)
    await tx.transaction(async second => {
      await insert(second, 2)
      await second.transaction(async third => {
        await insert(third, 3)
        throw no
      })
    })
  })
  await t.rejects(failing, no)
  t.same(await notes(), [])
})

t.test('two at once on the same level are refused: each would be part of the other', async t => {
  const { engine } = openEngine(t, postgres.url)
  await engine.transaction(async tx => {
    const outcomes = await Promise.allSettled([
      tx.transaction(inner => insert(inner, 1)),
      tx.transaction(inner => insert(inner, 2)),
      insert(tx, 3)
    ])
    t.match(outcomes, [{ status: 'fulfilled' }, { reason: state }, { status: 'fulfilled' }])
    await tx.transaction(inner => insert(inner, 4))
  })
  t.same(await notes(), [1, 3, 4])
})

t.test('a nested transaction that nobody waits for does not outlive the outer one', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  let goOn: () => void = () => {}
  const isOver = new Promise<void>(resolve => {
    goOn = resolve
  })
  let nested: Promise<unknown> | undefined
  const outer = db.transaction(async tx => {
    nested = tx.transaction(async inner => {
      await isOver
      await insert(inner, 1)
    })
    nested.catch(() => {})
    await insert(tx, 2)
  })
  await outer.catch(error => t.match(error, state))
  await db.transaction(async tx => {
    await tx.transaction(async inner => {
      await insert(inner, 3)
      goOn()
      await t.rejects(nested!, state)
    })
  })
  t.notOk((await notes()).includes(1), 'it did not run outside of its transaction')
  t.ok((await notes()).includes(3), 'nor undo a part of the next one')
  db.end()
})

t.test(
  'T04 T05 A22: what was swallowed inside comes out at its end, and at the COMMIT',
  async t => {
    const proxy = await startProxy(t, postgres)
    const statements = recordStatements(proxy)
    const { engine } = openEngine(t, proxy.url(postgres.url), {
      resolve_doubt: false,
      half_open_timeout: 0
    })
    const swallowing = engine.transaction(async tx => {
      await insert(tx, 1)
      const inner = tx.transaction(async inner => {
        await t.rejects(inner.query('select 1/0'), { code: '22012' })
        await t.rejects(
          inner.transaction(async () => t.fail('no savepoint')),
          { code: '25P02' }
        )
      })
      await t.rejects(inner, { code: '25P02' })
    })
    await t.rejects(swallowing, { code: 'FST_DB_ROLLED_BACK' })
    t.match(
      statements.slice(-2),
      [/^RELEASE SAVEPOINT/, /^COMMIT$/],
      'a savepoint that cannot be released needs nothing more'
    )
    t.same(await notes(), [])
  }
)

t.test(
  'R41 T03 T07: lost with its client, a savepoint is rolled back in silence; what follows is told of the loss, and runs not',
  async t => {
    const { engine } = openEngine(t, postgres.url)
    const db = requestOf(engine)
    const lost = db.transaction(async tx => {
      await insert(tx, 1)
      const failing = tx.transaction(async inner => {
        await postgres.terminateBackends({ pids: [await servedBy(inner)] })
        throw no
      })
      await t.rejects(failing, no, 'that its ROLLBACK failed masks nothing')
      await t.rejects(
        tx.transaction(async () => t.fail('no savepoint')),
        { code: 'FST_DB_DISCONNECTED', outcome: 'rolled_back' },
        'nobody has been told yet'
      )
      await t.rejects(insert(tx, 2), pending)
    })
    await t.rejects(lost, pending)
    t.equal(await db.transaction(async () => 'works'), 'works')
    t.same(await notes(), [])
    db.end()
  }
)

t.test('a loss that only the ROLLBACK of a savepoint has met is one to retry after', async t => {
  const { engine } = openEngine(t, postgres.url)
  let runs = 0
  await engine.transaction(
    async tx => {
      runs += 1
      await insert(tx, 1)
      const failing = tx.transaction(async inner => {
        if (runs === 1) await postgres.terminateBackends({ pids: [await servedBy(inner)] })
        throw no
      })
      await t.rejects(failing, no)
    },
    { retries: 1 }
  )
  t.equal(runs, 2, 'COMMIT was told of it')
  t.same(await notes(), [1])
})

t.test('T32 T33: rolled back as a whole, its savepoints need no statement', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const { engine } = openEngine(t, proxy.url(postgres.url), {
    pool_size: 1,
    max_overflow: 0,
    resolve_doubt: false,
    half_open_timeout: 0
  })
  const db = requestOf(engine)
  await db.query('begin')
  await db.query('savepoint a')
  await db.query('savepoint b')
  db.release()
  await servedBy(engine)
  t.same(statements.slice(3, 4), ['ROLLBACK'])
  db.end()
})

t.test('T11: a savepoint of ours cannot be rolled back from outside its function', async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  const handles: Transaction[] = []
  await db.transaction(async tx => {
    await insert(tx, 1)
    await t.rejects(
      tx.transaction(async inner => {
        handles.push(inner)
        await insert(inner, 2)
        throw no
      }),
      no
    )
    const again = 'rollback to savepoint fastify_pg_engine_1'
    for (const handle of [...handles, tx, db]) await t.rejects(handle.query(again), state)
    await insert(tx, 3)
  })
  t.equal(handles.length, 1)
  t.same(await notes(), [1, 3])
  db.end()
})

t.test("T11: one of the application's own is the server's to answer for", async t => {
  const { engine } = openEngine(t, postgres.url)
  const db = requestOf(engine)
  await db.query('begin')
  await db.query('savepoint a')
  await db.query('insert into notes values (1)')
  t.equal((await db.query('rollback to savepoint a')).command, 'ROLLBACK')
  t.equal((await db.query('rollback to savepoint a')).command, 'ROLLBACK')
  await db.query('release savepoint a')
  await t.rejects(db.query('rollback to savepoint a'), { code: '3B001' })
  t.equal(db.invalidated, false)
  await db.query('rollback')
  t.same(await notes(), [])
  db.end()
})
