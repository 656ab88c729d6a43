import type { QueryConfig } from 'pg'
import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { Script } from '../../src/client/script.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { onMessages, recordStatements } from '../fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')
t.beforeEach(() => postgres.admin('truncate notes'))

const query = (text: string, ...values: unknown[]) => new QueryPart({ text }, values)
const rowsOf = ({ result }: QueryPart) => (result as { rows: unknown[] }).rows

function exchange(client: Client, parts: (QueryPart | ControlPart)[]) {
  return client.run<undefined>(new Exchange(parts, () => {}))
}

t.test('several statements cost one Sync, and each gets its own answer', async t => {
  const proxy = await startProxy(t, postgres)
  let syncs = 0
  proxy.onConnection(({ toServer }) =>
    onMessages(toServer, true, ({ type, bytes }, forward) => {
      if (type === 'S') syncs += 1
      forward(bytes)
    })
  )
  const client = await openClient(t, proxy.url(postgres.url))
  const begin = new ControlPart('BEGIN')
  const parts = [query('select $1::int x', 1), query('select 2 x where false'), query('')]
  const commit = new ControlPart('COMMIT')
  await exchange(client, [begin, ...parts, commit])
  t.equal(syncs, 1)
  t.same([begin.tag, commit.tag], ['BEGIN', 'COMMIT'])
  t.same(rowsOf(parts[0]!), [{ x: 1 }])
  t.same(rowsOf(parts[1]!), [])
  t.equal(client.isInTransaction, false)
})

t.test('a COMMIT by itself is one message', async t => {
  const proxy = await startProxy(t, postgres)
  let types = ''
  proxy.onConnection(({ toServer }) =>
    onMessages(toServer, true, ({ type, bytes }, forward) => {
      types += type
      forward(bytes)
    })
  )
  const client = await openClient(t, proxy.url(postgres.url))
  await exchange(client, [new ControlPart('BEGIN'), query('select 1')])
  types = ''
  const commit = new ControlPart('COMMIT')
  await exchange(client, [commit])
  t.equal(types, 'Q')
  t.equal(commit.tag, 'COMMIT')
  t.equal(client.isInTransaction, false)
})

t.test(
  'a statement that fails has those behind it skipped, and a failed BEGIN the rest',
  async t => {
    const client = await openClient(t, postgres.url)
    const insert = (id: number) => query('insert into notes values ($1)', id)
    await t.rejects(exchange(client, [insert(1), query('select 1/0'), insert(2)]), {
      code: '22012'
    })
    t.same(
      (await run(client, 'select * from notes')).rows,
      [],
      'together they were one transaction'
    )
    await t.rejects(exchange(client, [new ControlPart('BEGIN BADLY'), insert(3)]), {
      code: '42601'
    })
    t.equal(client.isInTransaction, false)
    t.same((await run(client, 'select * from notes')).rows, [])
  }
)

t.test('what fails inside a transaction block leaves it failed, to be rolled back', async t => {
  const client = await openClient(t, postgres.url)
  const block = [new ControlPart('BEGIN'), query('select 1/0'), new ControlPart('COMMIT')]
  await t.rejects(exchange(client, block), { code: '22012' })
  t.equal(client.raw.getTransactionStatus(), 'E')
  await run(client, 'rollback')
})

t.test('what the driver finds wrong before anything is written leaves no trace', async t => {
  const proxy = await startProxy(t, postgres)
  const statements = recordStatements(proxy)
  const client = await openClient(t, proxy.url(postgres.url))
  await run(client, { name: 'taken', text: 'select 1' })
  const faulty: QueryConfig[] = [
    { text: 'select $1', values: 'x' as never },
    {} as never,
    { name: 'taken', text: 'select 2' }
  ]
  for (const config of faulty) {
    const parts = [query('insert into notes values (1)'), new QueryPart(config, undefined)]
    const onSubmitted = () => t.fail('it was not')
    await t.rejects(client.run(new Exchange(parts, onSubmitted)), /values|text/i)
  }
  await run(client, 'select 3')
  t.same(statements, ['select 1', 'select 3'])
})

t.test('nor does a value that cannot be sent', async t => {
  const client = await openClient(t, postgres.url)
  const reason = new RangeError('This value cannot be sent')
  const unbindable = {
    toPostgres() {
      throw reason
    }
  }
  const parts = [
    new ControlPart('BEGIN'),
    query('insert into notes values (1)'),
    query('insert into notes values ($1)', unbindable),
    new ControlPart('COMMIT')
  ]
  await t.rejects(client.run(new Exchange(parts, () => t.fail('it was not'))), reason)
  t.equal(client.isInTransaction, false)
  t.same((await run(client, 'select * from notes')).rows, [])
})

t.test('an exchange knows whether any of it was written', async t => {
  const client = await openClient(t, postgres.url)
  const events: string[] = []
  const note = (event: string) => () => events.push(event)
  const first = run(client, 'select 1', [], note('first written'))
  const second = run(client, 'select 2', [], note('second written'))
  t.same(events, ['first written'], 'the second waits for its turn')
  await Promise.all([first.then(note('first answered')), second.then(note('second answered'))])
  t.equal(events.indexOf('second written') > 0, true)
  t.equal(events.at(-1), 'second answered')
})

t.test('what waits on a session that is lost was not written', async t => {
  const client = await openClient(t, postgres.url)
  const onSubmitted = () => t.fail('it was not')
  const outcomes = await Promise.allSettled([
    run(client, 'select pg_terminate_backend(pg_backend_pid())'),
    run(client, 'select 1', [], onSubmitted)
  ])
  t.match(outcomes, [{ reason: { code: '57P01' } }, { reason: { code: '57P01' } }])
  await t.rejects(run(client, 'select 1', [], onSubmitted), { code: '57P01' })
})

t.test('results are those of pg: arrays, other types, empty texts, pages of rows', async t => {
  const client = await openClient(t, postgres.url)
  const types = { getTypeParser: () => (value: string) => `<${value}>` }
  const results: [QueryConfig & object, unknown[]][] = [
    [{ text: 'select 1 a, 2 b', rowMode: 'array' } as QueryConfig, [[1, 2]]],
    [{ text: 'select 1 x', types } as QueryConfig, [{ x: '<1>' }]],
    [{ text: '' }, []],
    [{ text: 'select $1::text x', values: ['a'] }, [{ x: 'a' }]],
    [{ text: "select '{1,2}'::int[] x" }, [{ x: [1, 2] }]],
    [
      { text: 'select generate_series(1, 3) x', rows: 2 } as QueryConfig,
      [{ x: 1 }, { x: 2 }, { x: 3 }]
    ]
  ]
  for (const [config, rows] of results) {
    t.same((await run(client, config)).rows, rows, config.text)
    t.same((await run(client, 'select 4 x')).rows, [{ x: 4 }], 'and the next one is in step')
  }
  t.match(await run(client, 'insert into notes values (1), (2)'), {
    command: 'INSERT',
    rowCount: 2
  })
})

t.test('COPY without a stream fails like with pg, and the session goes on', async t => {
  const client = await openClient(t, postgres.url)
  await t.rejects(run(client, 'copy notes from stdin'), { code: '57014' })
  await run(client, 'insert into notes values (1)')
  await t.rejects(exchange(client, [query('select 1'), query('copy notes from stdin')]), {
    code: '57014'
  })
  await run(client, 'copy notes to stdout')
  t.equal(client.lost, undefined)
  t.same((await run(client, 'select 1 x')).rows, [{ x: 1 }])
})

t.test('what is refused when its turn comes is not written, and the session goes on', async t => {
  const proxy = await startProxy(t, postgres)
  const texts = recordStatements(proxy)
  const client = await openClient(t, proxy.url(postgres.url))
  const no = new Error('no')
  let isRefused = false
  const refusal = () => (isRefused ? no : undefined)
  const before = run(client, 'select 1')
  const exchange = new Exchange([query('insert into notes values (9)')], () => t.fail(), {
    refusal
  })
  const script = new Script('select 1; insert into notes values (9)', () => t.fail(), refusal)
  const refused = [client.run(exchange), client.run(script)]
  isRefused = true
  await before
  for (const one of refused) await t.rejects(one, no)
  t.same((await run(client, 'select 2 x')).rows, [{ x: 2 }])
  t.notOk(texts.some(text => text.includes('insert')))
})
