import { EventEmitter } from 'node:events'
import t from 'tap'
import type { Engine } from '../src/engine.js'
import type { Ledger } from '../src/ledger.js'
import { type Closable, RequestScope } from '../src/request-scope.js'

/** A connection that only notes what is done with it. */
class FakeConnection {
  readonly ledger: Ledger
  readonly isRequest: boolean
  readonly isReadOnly: boolean | undefined
  readonly calls: unknown[] = []
  commitError: Error | undefined

  constructor(ledger: Ledger, isRequest: boolean, isReadOnly: boolean | undefined) {
    this.ledger = ledger
    this.isRequest = isRequest
    this.isReadOnly = isReadOnly
  }

  beginRoute(options: object): void {
    this.calls.push(options)
  }

  assertCommittable(): void {}
  async endRoute(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    this.calls.push(how)
    if (how === 'COMMIT' && this.commitError) throw this.commitError
  }

  end(): void {
    this.calls.push('end')
  }

  isWriting = false
  mayFinish = false

  abort(isSafe: boolean, isWriting: boolean): boolean {
    this.calls.push({ isSafe, isWriting })
    return this.mayFinish
  }

  get isEnded(): boolean {
    return this.calls.includes('end')
  }
}

class FakeEngine {
  readonly opened: FakeConnection[] = []

  connection(ledger: Ledger, isRequest: boolean, isReadOnly?: boolean): FakeConnection {
    const connection = new FakeConnection(ledger, isRequest, isReadOnly)
    this.opened.push(connection)
    return connection
  }
}

class FakeResponse extends EventEmitter implements Closable {
  closed = false
  destroyed = false
  writableEnded = true

  close(): void {
    this.closed = true
    this.emit('close')
  }

  destroy(): void {}
}

/** What the scope has for an engine: a fake, as the engine is. */
function connect(scope: RequestScope, engine = new FakeEngine()): FakeConnection {
  return scope.connection(engine as unknown as Engine) as unknown as FakeConnection
}

t.test('X47: a request that uses no database opens no connection, and may end', async t => {
  const [response, scope] = [new FakeResponse(), new RequestScope()]
  scope.endWith(response)
  await scope.commit()
  await scope.rollback()
  response.close()
  t.equal(scope.ledger.outcome, 'none')
  t.equal(scope.root, undefined)
})

t.test('F11: a request has one connection to a database, however often it asks', async t => {
  const [engine, scope] = [new FakeEngine(), new RequestScope()]
  t.equal(connect(scope, engine), connect(scope, engine))
  t.equal(engine.opened.length, 1)
  t.match(engine.opened, [{ ledger: scope.ledger, isRequest: true, isReadOnly: undefined }])
})

t.test('F11: two requests share neither a connection nor a ledger', async t => {
  const engine = new FakeEngine()
  const scopes = [new RequestScope(), new RequestScope()] as const
  const [one, other] = [connect(scopes[0], engine), connect(scopes[1], engine)]
  t.not(one, other)
  t.not(one.ledger, other.ledger)
  scopes[0].end()
  t.strictSame([one.isEnded, other.isEnded], [true, false])
})

t.test('F16: a request with two databases has a connection to each, and one ledger', async t => {
  const scope = new RequestScope()
  const [one, other] = [connect(scope), connect(scope)]
  t.not(one, other)
  t.equal(one.ledger, scope.ledger)
  t.equal(other.ledger, scope.ledger)
  scope.end()
  t.ok(one.isEnded && other.isEnded, 'both are given back')
})

t.test('R16: the end of the response is the end of the connections, and not earlier', async t => {
  const [response, scope] = [new FakeResponse(), new RequestScope()]
  const connection = connect(scope)
  scope.endWith(response)
  t.notOk(connection.isEnded)
  response.close()
  t.ok(connection.isEnded)
})

t.test('a response that is over already, however it says so, ends the scope at once', async t => {
  for (const over of ['closed', 'destroyed'] as const) {
    const [response, scope] = [new FakeResponse(), new RequestScope()]
    const connection = connect(scope)
    response[over] = true
    scope.endWith(response)
    t.ok(connection.isEnded, over)
  }
})

t.test('X60: a connection that is asked for after the end is closed from the start', async t => {
  const [engine, scope] = [new FakeEngine(), new RequestScope()]
  scope.end()
  const late = connect(scope, engine)
  t.ok(late.isEnded)
  t.equal(connect(scope, engine), late)
})

t.test('X60: what ends twice was ended once', async t => {
  for (const transaction of [true, false]) {
    const [response, scope] = [new FakeResponse(), new RequestScope({ transaction })]
    const connection = connect(scope)
    scope.endWith(response)
    connection.calls.length = 0
    scope.end()
    response.close()
    t.strictSame(connection.calls, transaction ? ['ROLLBACK', 'end'] : ['end'])
  }
})

t.test('a route without a transaction begins none', async t => {
  for (const config of [undefined, {}, { transaction: false }, { idempotent: true }]) {
    const scope = new RequestScope(config)
    t.notOk(scope.hasTransaction)
    t.strictSame(connect(scope).calls, [])
  }
})

t.test('the transaction of a route begins with the connection, as the route says', async t => {
  const isolationLevel = 'SERIALIZABLE'
  const rows = [
    [{ transaction: true }, {}],
    [{ transaction: { isolationLevel } }, { isolationLevel }],
    [{ transaction: true, readOnly: true }, { readOnly: true }]
  ] as const
  for (const [config, options] of rows) {
    const scope = new RequestScope(config)
    t.ok(scope.hasTransaction)
    t.strictSame(connect(scope).calls, [options])
  }
  t.equal(connect(new RequestScope({ readOnly: true })).isReadOnly, true)
})

t.test('X52: the transactions of a request are committed together, or rolled back', async t => {
  for (const how of ['commit', 'rollback'] as const) {
    const scope = new RequestScope({ transaction: true })
    const connections = [connect(scope), connect(scope)]
    await scope[how]()
    for (const { calls } of connections) t.strictSame(calls, [{}, how.toUpperCase()])
  }
})

t.test('a COMMIT that fails is the error, and what is behind it is rolled back', async t => {
  const scope = new RequestScope({ transaction: true })
  const [first, second, third] = [connect(scope), connect(scope), connect(scope)]
  second.commitError = new Error('commit')
  await t.rejects(scope.commit(), second.commitError)
  t.strictSame(first.calls[1], 'COMMIT')
  t.notOk(third.calls.includes('COMMIT'))
  t.ok(third.calls.includes('ROLLBACK'))
})

t.test(
  'a client that leaves before the reply has ended is told apart from one that does not',
  async t => {
    for (const writableEnded of [true, false]) {
      const [response, scope] = [new FakeResponse(), new RequestScope({}, { isSafe: true })]
      response.writableEnded = writableEnded
      scope.endWith(response)
      const connection = connect(scope)
      response.close()
      t.strictSame(connection.calls, writableEnded ? ['end'] : [{ isSafe: true, isWriting: false }])
      t.equal(connect(scope).isEnded, true, 'later ones are refused')
    }
  }
)

t.test('one database that is being written to lets all of the request finish', async t => {
  const [response, scope] = [new FakeResponse(), new RequestScope()]
  scope.endWith(response)
  const [reading, writing] = [connect(scope), connect(scope)]
  writing.isWriting = true
  writing.mayFinish = true
  response.writableEnded = false
  response.close()
  const facts = { isSafe: false, isWriting: true }
  t.strictSame([reading.calls, writing.calls], [[facts], [facts]])
  t.equal(connect(scope).isEnded, false)
  scope.end()
  t.equal(writing.isEnded, true)
})

t.test('over HTTP/2 it is the stream that tells when the request is over', async t => {
  const [early, late] = [new FakeResponse(), new FakeResponse()]
  const gone = Object.assign(new FakeResponse(), { destroyed: true })
  const scope = new RequestScope()
  const connection = connect(scope)
  scope.endWith(Object.assign(new FakeResponse(), { stream: late }))
  t.equal(connection.isEnded, false)
  late.close()
  t.equal(connection.isEnded, true)

  const after = new RequestScope()
  after.endWith(Object.assign(early, { stream: gone }))
  t.match(connect(after).calls, ['end'], 'it was over before the database was used')
})
