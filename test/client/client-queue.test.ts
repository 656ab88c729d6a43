import type { QueryConfig } from 'pg'
import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { openClient, pidOf, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

const unbindable = {
  toPostgres() {
    throw new RangeError('This value cannot be sent')
  }
}

/** Starts all at once, and tells in which order they settled and how. */
async function runAll(client: Client, configs: (string | (QueryConfig & object))[]) {
  const order: number[] = []
  const running = configs.map((config, index) =>
    run(client, config)
      .then(({ rows }) => rows[0]?.x)
      .finally(() => order.push(index))
  )
  const settled = await Promise.allSettled(running)
  return { order, settled }
}

t.test('statements started together run in the order of their start', async t => {
  const client = await openClient(t, postgres.url)
  await run(client, 'create temporary sequence tickets')
  const texts = Array.from({ length: 50 }, (_, i) =>
    i % 3 === 0
      ? { text: "select nextval('tickets')::int x where $1", values: [true] }
      : "select nextval('tickets')::int x"
  )
  const { order, settled } = await runAll(client, texts)
  t.same(order, [...texts.keys()])
  t.same(
    settled.map(one => one.status === 'fulfilled' && one.value),
    texts.map((_, i) => i + 1)
  )
  t.equal(client.isReady, true)
})

t.test('what the server or the driver refuses holds up nothing, wherever it stands', async t => {
  const refusals: Record<string, [QueryConfig, object]> = {
    'an error of the server': [{ text: 'select 1/0 x' }, { code: '22012' }],
    'a text that does not parse': [{ text: 'selec', values: [1] }, { code: '42601' }],
    'the same name with another text': [
      { name: 'taken', text: 'select 2 x' },
      { message: /taken/ }
    ],
    'values that are no array': [
      { text: 'select $1', values: 'x' } as never,
      { message: 'Query values must be an array' }
    ],
    'neither text nor name': [{} as never, { message: /text or a name/ }],
    'a value that cannot be sent': [
      { text: 'select $1', values: [unbindable] },
      { message: 'This value cannot be sent' }
    ],
    'a result that cannot be read': [
      { text: 'select 1 x', types: { getTypeParser: () => unbindable.toPostgres } },
      { message: 'This value cannot be sent' }
    ],
    'COPY without a stream': [{ text: 'copy pg_class from stdin' }, { code: '57014' }]
  }
  for (const [what, [config, reason]] of Object.entries(refusals)) {
    await t.test(what, async t => {
      const client = await openClient(t, postgres.url)
      await run(client, { name: 'taken', text: 'select 1 x' })
      const { order, settled } = await runAll(client, [
        config,
        'select 1 x',
        config,
        config,
        'select 2 x'
      ])
      t.same(order, [0, 1, 2, 3, 4])
      t.match(settled, [{ reason }, { value: 1 }, { reason }, { reason }, { value: 2 }])
      t.equal(client.lost, undefined)
      t.equal(client.isReady, true)
    })
  }
})

t.test('a prepared statement works after values for it that could not be sent', async t => {
  const client = await openClient(t, postgres.url)
  const named = (value: unknown): QueryConfig => ({
    name: 'echo',
    text: 'select $1::text x',
    values: [value]
  })
  const { settled } = await runAll(client, [
    named(unbindable),
    named('a'),
    named(unbindable),
    named('b')
  ])
  t.match(settled, [
    { reason: { message: 'This value cannot be sent' } },
    { value: 'a' },
    { reason: { message: 'This value cannot be sent' } },
    { value: 'b' }
  ])
})

t.test('what a library does on the client itself takes its turn with the rest', async t => {
  const client = await openClient(t, postgres.url)
  const order: string[] = []
  const first = client.raw.query("select 'raw' x").then(() => order.push('raw'))
  const second = run(client, "select 'ours' x").then(() => order.push('ours'))
  const failing = run(client, 'select 1/0').catch(() => order.push('failing'))
  await Promise.all([first, second, failing])
  t.same(order, ['raw', 'ours', 'failing'])
  t.equal(client.isReady, true)
})

t.test('X59: a statement that times out on our side costs its client', async t => {
  const client = await openClient(t, postgres.url, { config: { query_timeout: 100 } })
  const { settled } = await runAll(client, ['select pg_sleep(60)', 'select 1 x'])
  const reason = { message: 'Query read timeout' }
  t.match(settled, [{ reason }, { reason }])
  t.match(client.lost, reason)
  t.equal(client.raw.connection.stream.destroyed, true)
  await postgres.terminateBackends({ pids: [pidOf(client)] })
})

t.test(
  'whoever waits for quiet is told once, by the end of the work or of the session',
  async t => {
    const client = await openClient(t, postgres.url)
    const told: string[] = []
    const statements = [run(client, 'select 1'), run(client, 'select 2')]
    client.onceReady(() => told.push(`ready: ${client.isReady}`))
    await Promise.all(statements)
    await run(client, 'select 3')
    t.same(told, ['ready: true'])

    const lost = Promise.allSettled([run(client, 'select pg_sleep(60)'), run(client, 'select 1')])
    client.onceReady(() => told.push('lost'))
    await postgres.untilBackends({ pids: [pidOf(client)], where: "wait_event = 'PgSleep'" })
    await postgres.terminateBackends({ pids: [pidOf(client)] })
    await lost
    t.same(told, ['ready: true', 'lost'])
  }
)
