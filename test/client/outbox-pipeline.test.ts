import pg from 'pg'
import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart, type Part } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { openClient, run } from '../fixtures/open-client.js'
import { roundTripsOf } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProtocolProxy } from '../fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)

/** A session whose dialogue is seen. */
async function openSeen(test: Pick<typeof t, 'teardown'>) {
  const protocol = await startProtocolProxy(test, postgres)
  const client = await openClient(test, protocol.proxy.url(postgres.url))
  const conversation = protocol.of(client.pid)
  conversation.mark()
  const roundTrips = () => roundTripsOf(conversation)
  return { client, conversation, roundTrips }
}

/** A statement that may be sent along with others. */
async function read(client: Client, text: string, name?: string): Promise<unknown> {
  const part = new QueryPart(name === undefined ? { text } : { text, name }, [])
  await client.run(new Exchange([part], () => {}, { isPipelined: true }))
  return (part.result as pg.QueryResult).rows[0]?.x
}

function alone(client: Client, part: Part): Promise<undefined> {
  return client.run<undefined>(new Exchange([part], () => {}))
}

t.test('the pipeline mode of the installed pg can be switched while a query runs', async t => {
  const client = new pg.Client(postgres.url)
  await client.connect()
  t.teardown(() => client.end())
  const first = client.query('select 1 x')
  Reflect.set(client, 'pipeline', true)
  t.equal(client.pipeline, true, 'pg.Client.pipeline is declared read-only: the outbox sets it')
  const others = [
    client.query('select 2 x'),
    client.query('select 1/0'),
    client.query('select 4 x')
  ]
  const settled = await Promise.allSettled([first, ...others])
  t.match(settled, [
    { value: { rows: [{ x: 1 }] } },
    { value: { rows: [{ x: 2 }] } },
    { reason: { code: '22012' } },
    { value: { rows: [{ x: 4 }] } }
  ])
  Reflect.set(client, 'pipeline', false)
  t.match(await client.query('select 5 x'), { rows: [{ x: 5 }] })
})

t.test(
  'what may be sent together costs one round trip, in order, each with its own error',
  async t => {
    const { client, roundTrips } = await openSeen(t)
    const order: number[] = []
    const texts = ['select 1 x', 'select 2 x', 'select 1/0 x', 'selec', 'select 5 x']
    const running = texts.map((text, i) => read(client, text).finally(() => order.push(i)))
    t.match(await Promise.allSettled(running), [
      { value: 1 },
      { value: 2 },
      { reason: { code: '22012' } },
      { reason: { code: '42601' } },
      { value: 5 }
    ])
    t.same(order, [0, 1, 2, 3, 4])
    t.equal(roundTrips(), 1)
    t.equal(client.isReady, true)
    t.equal(client.raw.pipeline, false, 'a cursor may follow')
  }
)

t.test('what is refused before it is written holds up nothing, wherever it stands', async t => {
  const { client, roundTrips } = await openSeen(t)
  const refused = () => {
    const part = new QueryPart({ text: 'select 1' }, 5 as never)
    return client.run(new Exchange([part], () => {}, { isPipelined: true }))
  }
  const running = [
    refused(),
    read(client, 'select 1 x'),
    read(client, 'select 2 x'),
    refused(),
    read(client, 'select 3 x')
  ]
  t.match(await Promise.allSettled(running), [
    { reason: { message: 'Query values must be an array' } },
    { value: 1 },
    { value: 2 },
    { reason: { message: 'Query values must be an array' } },
    { value: 3 }
  ])
  t.equal(roundTrips(), 2)
  t.equal(client.isReady, true)
})

t.test('what must be alone waits for all before it, and all behind wait for it', async t => {
  const { client, conversation, roundTrips } = await openSeen(t)
  const begin = new ControlPart('BEGIN')
  const running = [
    read(client, 'select 1 x'),
    read(client, 'select 2 x'),
    alone(client, begin),
    read(client, "select txid_current_if_assigned() is null x, 'in it'"),
    read(client, 'select 4 x'),
    client.ping(60_000),
    alone(client, new ControlPart('COMMIT'))
  ]
  t.same(await Promise.all(running), [1, 2, undefined, true, 4, undefined, undefined])
  t.equal(roundTrips(), 5, 'two reads; BEGIN; two reads; the ping; COMMIT')
  const sent = conversation.dialogue.map(({ name }) => name)
  t.same(
    sent.filter(name => name === 'Execute' || name === 'Query'),
    ['Execute', 'Execute', 'Query', 'Execute', 'Execute', 'Query']
  )
})

t.test('statements of one name are not sent together until it is prepared', async t => {
  const { client, roundTrips } = await openSeen(t)
  const reads = () => Promise.allSettled([1, 2, 3].map(() => read(client, 'select $1 x', 'n')))
  t.match(await reads(), [
    { reason: { code: '08P01' } },
    { reason: { code: '08P01' } },
    { reason: { code: '08P01' } }
  ])
  await run(client, { name: 'm', text: 'select 7 x' })
  const before = roundTrips()
  t.same(await Promise.all([1, 2, 3].map(() => read(client, 'select 7 x', 'm'))), [7, 7, 7])
  t.equal(roundTrips() - before, 1)
})

t.test('nothing is sent ahead while the client is in other hands', async t => {
  const { client, roundTrips } = await openSeen(t)
  const raw = client.expose()
  const running = [
    read(client, 'select 1 x'),
    raw.query('select 2 x').then(({ rows }) => rows[0].x),
    read(client, 'select 3 x'),
    read(client, 'select 4 x')
  ]
  t.same(await Promise.all(running), [1, 2, 3, 4])
  t.equal(roundTrips(), 4)
  await client.reset()
  t.same(await Promise.all([read(client, 'select 5 x'), read(client, 'select 6 x')]), [5, 6])
  t.equal(roundTrips(), 5)
})

t.test(
  'who takes the client for himself gets it when what was sent together is answered',
  async t => {
    const { client } = await openSeen(t)
    const reads = [read(client, 'select 1 x'), read(client, 'select 2 x')]
    const raw = await client.exposeAlone()
    t.equal(raw.pipeline, false)
    t.same(await Promise.all(reads), [1, 2])
  }
)

t.test('the loss of the session is the error of all that was sent together', async t => {
  const { client, conversation } = await openSeen(t)
  const text = 'select 1 x from pg_sleep(60)'
  const running = [1, 2, 3].map(() => read(client, text))
  const behind = alone(client, new ControlPart('BEGIN'))
  const all = Promise.allSettled([...running, behind])
  await new Promise<void>(resolve => {
    conversation.at(
      { way: 'toServer', side: 'after', message: ({ name }) => name === 'Sync' },
      resolve
    )
  })
  await postgres.terminateBackends({ pids: [client.pid] })
  const reasons = (await all).map(one => one.status === 'rejected' && one.reason.code)
  t.same(reasons, ['57P01', '57P01', '57P01', '57P01'])
  t.match(client.lost, { code: '57P01' })
})
