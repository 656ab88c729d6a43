import pg, { type QueryConfig } from 'pg'
import t from 'tap'
import { EvidencePart } from '../../src/client/evidence.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { type ClientSetup, openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key, title text)')
await postgres.admin(`insert into notes values (1, 'one'), (2, null)`)

interface Answer {
  result?: unknown
  code?: unknown
}

/** What can be compared of a result or an error. */
async function answer(work: Promise<pg.QueryResult>): Promise<Answer> {
  try {
    const { command, rowCount, oid, rows, fields } = await work
    return { result: { command, rowCount, oid, rows, fields } }
  } catch (error) {
    return { code: Reflect.get(error as Error, 'code') ?? (error as Error).name }
  }
}

/** One of ours and one as `pg` has it, both connected. */
async function openBoth(t: Tap, setup: ClientSetup = {}) {
  const ours = await openClient(t, postgres.url, setup)
  const theirs = new pg.Client({ ...setup.config, connectionString: postgres.url })
  await theirs.connect()
  t.teardown(() => theirs.end())
  return { ours, theirs }
}
type Tap = Pick<typeof t, 'teardown'>

const shouting = { getTypeParser: () => (value: string | Buffer) => `${value}!` }

const STATEMENTS: [QueryConfig & { rowMode?: string; binary?: boolean }, unknown[]?][] = [
  [{ text: 'select * from notes order by id' }],
  [{ text: 'select * from notes where id = $1' }, [1]],
  [{ text: 'select * from notes where id = $1', values: [2] }],
  [{ text: 'select id, title from notes order by id', rowMode: 'array' }],
  [{ text: 'select id from notes order by id', types: shouting as never }],
  [{ text: 'select id, id::int8 big from notes', binary: true }],
  [{ name: 'named', text: 'select $1::text x' }, ['a']],
  [{ name: 'named', text: 'select $1::text x' }, ['b']],
  [{ text: 'select 1 a, 2 a' }],
  [{ text: 'select from notes' }],
  [{ text: 'select 1 where false' }],
  [{ text: '' }],
  [{ text: ' -- nothing' }],
  [
    { text: 'select $1::jsonb x, $2::timestamptz y, $3::bytea z' },
    [{ a: [1] }, new Date(0), Buffer.from('b')]
  ],
  [{ text: 'select $1::int[] x, $2::text y, $3::bool z' }, [[1, 2], null, undefined]],
  [{ text: "insert into notes values (3, 'three') returning *" }],
  [{ text: 'update notes set title = $1' }, ['x']],
  [{ text: 'delete from notes where id > 100' }],
  [{ text: 'create temp table mine as select 1 x' }],
  [{ text: 'show standard_conforming_strings' }],
  [{ text: 'explain (costs off) select 1' }],
  [{ text: 'begin' }],
  [{ text: 'declare c cursor for select generate_series(1, 3) x' }],
  [{ text: 'fetch 2 from c' }],
  [{ text: 'select 1/0' }],
  [{ text: 'select 1' }],
  [{ text: 'rollback' }],
  [{ text: 'select nonsense' }],
  [{ text: 'selec' }],
  [{ text: 'select $1::int' }, []],
  [{ text: 'select $1::int' }, ['a']],
  [{ text: 'insert into notes values (1)' }]
]

t.test('results and errors are those of pg, also in company', async t => {
  const { ours, theirs } = await openBoth(t)
  const begin = new ControlPart('BEGIN')
  for (const [config, values] of STATEMENTS) {
    const expected = await answer(
      theirs.query({ ...config, queryMode: 'extended' } as never, values)
    )
    if (config.text.startsWith('insert')) await postgres.admin('delete from notes where id = 3')
    t.strictSame(await answer(run(ours, config, values)), expected, config.text)
    // When `pg` rejects, its own status is that from before the failure.
    await theirs.query('')
    t.equal(ours.raw.getTransactionStatus(), theirs.getTransactionStatus(), config.text)
    if (ours.isInTransaction || /^(insert|create|begin)/.test(config.text)) continue
    const part = new QueryPart(config, values)
    const parts = [begin, part, new EvidencePart(undefined), new ControlPart('ROLLBACK')]
    const inCompany = ours.run(new Exchange(parts, () => {})).then(() => part.result)
    t.strictSame(
      await answer(inCompany as Promise<pg.QueryResult>),
      expected,
      `${config.text} in a block`
    )
    if (ours.isInTransaction) await run(ours, 'rollback')
  }
})

t.test('the type parsers of the client count, and those of the statement before them', async t => {
  const types = { getTypeParser: () => (value: string) => `config: ${value}` }
  const { ours, theirs } = await openBoth(t, { config: { types } })
  const plain = await openBoth(t)
  const int4 = pg.types.builtins.INT4
  for (const raw of [plain.ours.raw, plain.theirs]) {
    raw.setTypeParser(int4, value => `client: ${value}`)
  }
  for (const config of [{ text: 'select 1 x' }, { text: 'select 1 x', types: shouting as never }]) {
    t.strictSame(await answer(run(ours, config)), await answer(theirs.query(config)))
    t.strictSame(await answer(run(plain.ours, config)), await answer(plain.theirs.query(config)))
  }
  t.match(await run(plain.ours, 'select 1 x'), { rows: [{ x: 'client: 1' }] })
  t.match(await run(ours, 'select 1 x'), { rows: [{ x: 'config: 1' }] })
})

t.test('a client that asks for binary gets it', async t => {
  const { ours, theirs } = await openBoth(t, { config: { binary: true } })
  const config = { text: 'select 1 x, 2::int8 y, 3.5::float8 z' }
  t.strictSame(
    await answer(run(ours, config)),
    await answer(theirs.query({ ...config, queryMode: 'extended' } as never))
  )
})

t.test('a row that cannot be read fails its statement, and not those around it', async t => {
  const client = await openClient(t, postgres.url)
  const types = {
    getTypeParser: () => () => {
      throw new RangeError('unreadable')
    }
  }
  const parts = [
    new QueryPart({ text: 'select 1 x' }, []),
    new QueryPart({ text: 'select generate_series(1, 3) x', types: types as never }, []),
    new QueryPart({ text: 'select 2 x' }, [])
  ]
  const exchange = new Exchange(parts, () => {})
  await t.rejects(client.run(exchange), RangeError)
  t.equal(exchange.isComplete, true)
  t.match(parts[0]?.result, { rows: [{ x: 1 }] })
  t.match(parts[2]?.result, { rows: [{ x: 2 }] })
  t.match(await run(client, 'select 3 x'), { rows: [{ x: 3 }] })
})

t.test('an exchange is one write, one Sync and one ReadyForQuery', async t => {
  const protocol = await startProtocolProxy(t, postgres)
  const client = await openClient(t, protocol.proxy.url(postgres.url))
  const conversation = protocol.of(client.pid)
  conversation.mark()
  const { stream } = client.raw.connection
  let writes = 0
  const writev = stream._writev
  stream._writev = (chunks, done) => {
    writes += 1
    return writev?.call(stream, chunks, done)
  }
  const select = () => new QueryPart({ text: 'select 1' }, [])
  const parts = [new ControlPart('BEGIN'), select(), select(), new EvidencePart(undefined)]
  await client.run(new Exchange([...parts, new ControlPart('COMMIT')], () => {}))
  t.equal(writes, 1)
  const count = (name: string) => conversation.dialogue.filter(one => one.name === name).length
  t.match(
    { sync: count('Sync'), ready: count('ReadyForQuery'), execute: count('Execute') },
    { sync: 1, ready: 1, execute: 5 }
  )
})

t.test('a failure at the Sync itself is that of the whole', async t => {
  await postgres.admin('create table once (id int unique deferrable initially deferred)')
  const client = await openClient(t, postgres.url)
  const part = new QueryPart({ text: 'insert into once values (1), (1)' }, [])
  const evidence = new EvidencePart(undefined)
  await t.rejects(client.run(new Exchange([part, evidence], () => {})), { code: '23505' })
  t.equal(part.isComplete, true, 'the statement itself had worked')
  t.match(await run(client, 'select count(*)::int n from once'), { rows: [{ n: 0 }] })
})
