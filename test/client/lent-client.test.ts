import pg, { type PoolClient } from 'pg'
import t from 'tap'
import {
  answer,
  isSubmittable,
  type LentConnection,
  lentClient,
  queryOn
} from '../../src/client/lent-client.js'

/** A connection that records what it is asked, and whose client can be changed. */
class RecordingConnection implements LentConnection {
  readonly calls: unknown[][] = []
  held: pg.Client | undefined

  query(...given: unknown[]): unknown {
    this.calls.push(['query', ...given])
    return 'result'
  }
  invalidate(error?: unknown): void {
    this.calls.push(['invalidate', error])
  }
  release(): void {
    this.calls.push(['release'])
  }
  end(): void {
    this.calls.push(['end'])
  }
}

function lend(first = new pg.Client()) {
  const connection = new RecordingConnection()
  const released: [unknown, PoolClient][] = []
  const client = lentClient(connection, first, (...given) => released.push(given))
  return { client, connection, released }
}

t.test('query is the connection’s, the rest is the client’s', async t => {
  const first = new pg.Client({ port: 1 })
  const { client, connection } = lend(first)
  t.equal(await client.query('select $1', ['x']), 'result')
  t.same(connection.calls, [['query', 'select $1', ['x']]])
  t.ok(client instanceof pg.Client)
  t.ok('release' in client && 'port' in client)
  t.equal(client.port, 1)
  const heard: string[] = []
  client.on('notice', () => heard.push('notice'))
  first.emit('notice')
  t.same(heard, ['notice'])
})

t.test('it shows the client that the connection holds now, or held last', t => {
  const { client, connection } = lend(new pg.Client({ port: 1 }))
  connection.held = new pg.Client({ port: 2 })
  t.equal(client.port, 2)
  connection.held = undefined
  t.equal(client.port, 2)
  t.end()
})

t.test('release gives back once; with an error the client is replaced', t => {
  const { client, connection, released } = lend()
  client.release()
  t.same(connection.calls, [['end']])
  t.equal(released.length, 1)
  t.same([released[0]?.[0], released[0]?.[1] === client], [undefined, true])
  t.throws(() => client.release(), /already been released/)
  t.throws(() => client.release(true), /already been released/)
  t.equal(connection.calls.length, 1)

  const other = lend()
  const error = new Error('not fit')
  other.client.release(error)
  t.same(other.connection.calls, [['invalidate', error], ['end']])
  t.end()
})

t.test('end has the client replaced, but not the next borrower’s', async t => {
  const { client, connection } = lend()
  await client.end()
  t.same(connection.calls, [['invalidate', undefined]])
  client.release()
  await client.end()
  t.same(connection.calls, [['invalidate', undefined], ['end']])
})

t.test('a callback is found wherever pg takes one, and gets what the promise would', async t => {
  const connection = new RecordingConnection()
  const forms = [
    (done: unknown) => ['text', done],
    (done: unknown) => ['text', [1], done],
    (done: unknown) => ['text', undefined, done],
    (done: unknown) => [{ text: 'text', callback: done }]
  ]
  for (const form of forms) {
    const told = await new Promise(resolve => {
      const given = form((...answer: unknown[]) => resolve(answer))
      t.equal(queryOn(connection, given), undefined)
    })
    t.same(told, [undefined, 'result'])
  }
  t.same(connection.calls[1], ['query', 'text', [1]])
  const failing = {
    query: () => {
      throw new Error('no')
    }
  }
  await t.rejects(Promise.resolve(queryOn(failing, ['text'])), { message: 'no' })
  const told = await new Promise(resolve => queryOn(failing, ['text', resolve]))
  t.match(told, { message: 'no' })
})

t.test('a query of a library’s own is handed on, with the callback unless it has one', t => {
  const connection = new RecordingConnection()
  const own = () => {}
  const other = () => {}
  const query = { submit: () => {}, callback: undefined as unknown }
  t.ok(isSubmittable(query))
  t.notOk(isSubmittable('text') || isSubmittable(null) || isSubmittable({ text: '' }))
  t.equal(queryOn(connection, [query, own]), 'result')
  t.equal(query.callback, own)
  queryOn(connection, [query, other])
  t.equal(query.callback, own)
  t.same(connection.calls, [
    ['query', query, undefined],
    ['query', query, undefined]
  ])
  t.end()
})

t.test('without a callback the promise itself is the answer', t => {
  const promise = Promise.resolve()
  t.equal(answer(promise, undefined), promise)
  t.end()
})
