import t from 'tap'
import { Outbox, type Submission } from '../../src/client/outbox.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

/** Something to submit that says when it is sent, and what becomes of it. */
function tracked(events: string[], name: string): Submission & { handleReadyForQuery(): void } {
  return {
    submit(connection) {
      events.push(`${name} sent`)
      connection.sync()
    },
    handleReadyForQuery: () => {
      events.push(`${name} done`)
    },
    handleError: error => {
      events.push(`${name}: ${error.message}`)
    }
  }
}

t.test('the installed pg says whether it would send a query at once', async t => {
  const client = await openClient(t, postgres.url)
  const isReady = () => Reflect.get(client.raw, 'readyForQuery')
  t.equal(isReady(), true, 'pg.Client.readyForQuery is undocumented: the outbox lives by it')
  const running = client.raw.query('select 1')
  t.equal(isReady(), false)
  await running
  t.equal(isReady(), true)
  await t.rejects(client.raw.query('select 1/0'))
  await client.raw.query('select 1')
  t.equal(isReady(), true)
})

t.test("pg's own queue, which is deprecated, never holds anything of ours", async t => {
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const client = await openClient(t, postgres.url)
  const texts = Array.from({ length: 10 }, (_, i) => (i % 2 ? 'select 1/0' : 'select 1'))
  const running = Promise.allSettled(texts.map(text => run(client, text)))
  const pings = [client.ping(60_000), client.ping(60_000)]
  await Promise.all([running, ...pings])
  await new Promise(setImmediate)
  t.same(warnings, [])
})

t.test('one is sent at a time, in the order in which they came', async t => {
  const { raw } = await openClient(t, postgres.url)
  const outbox = new Outbox(raw, () => {})
  const events: string[] = []
  raw.connection.on('readyForQuery', () => outbox.sendNext())
  t.equal(outbox.isQuiet, true)
  const quiet = new Promise<void>(resolve => {
    for (const name of ['a', 'b', 'c']) outbox.send(tracked(events, name))
    t.equal(outbox.isQuiet, false)
    outbox.onceQuiet(resolve)
  })
  t.same(events, ['a sent'])
  outbox.sendNext()
  t.same(events, ['a sent'], 'not before the server is ready')
  await quiet
  t.same(events, ['a sent', 'a done', 'b sent', 'b done', 'c sent', 'c done'])
  t.equal(outbox.isQuiet, true)
})

t.test('what cannot be sent any more is refused at the next turn, in order', async t => {
  const { raw } = await openClient(t, postgres.url)
  const outbox = new Outbox(raw, () => {})
  const events: string[] = []
  for (const name of ['a', 'b', 'c']) outbox.send(tracked(events, name))
  outbox.onceQuiet(() => events.push('quiet'))
  outbox.refuseAll(new Error('gone'))
  outbox.refuse(tracked(events, 'd'), 'no error')
  t.same(events, ['a sent', 'quiet'], 'nobody is called from within his own call')
  await new Promise(process.nextTick)
  t.same(events, ['a sent', 'quiet', 'b: gone', 'c: gone', 'd: no error'])
})

t.test('what throws when it is sent is told so, and the client cannot be trusted', async t => {
  const { raw } = await openClient(t, postgres.url)
  const broken: unknown[] = []
  const outbox = new Outbox(raw, error => broken.push(error))
  const events: string[] = []
  const bug = new Error('a bug')
  const faulty = {
    ...tracked(events, 'faulty'),
    submit() {
      throw bug
    }
  }
  t.doesNotThrow(() => outbox.send(faulty))
  t.same(broken, [bug])
  await new Promise(process.nextTick)
  t.same(events, ['faulty: a bug'])
})
