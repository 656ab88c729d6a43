import { Socket } from 'node:net'
import pg, { type Connection, type Submittable } from 'pg'
import t, { type Test } from 'tap'
import { startPostgres, type TestPostgres } from './fixtures/postgres.js'
import { describeDialogue } from './fixtures/protocol-messages.js'
import {
  type Conversation,
  type Point,
  type ProtocolProxy,
  startProtocolProxy
} from './fixtures/protocol-proxy.js'

const postgres = await startPostgres(t)
await postgres.admin('create table kept (id int)')

t.test('names each message, from the login on', async t => {
  const { client, conversation } = await open(t)
  const all = conversation.dialogue.map(({ name }) => name)
  const login = all.slice(0, all.indexOf('ReadyForQuery') + 1)
  t.strictSame(login.slice(0, 3), ['Startup', 'Authentication', 'Password'])
  t.strictSame(login.slice(-2), ['BackendKeyData', 'ReadyForQuery'])
  t.ok(conversation.dialogue.some(({ detail }) => detail === 'server_encoding UTF8'))

  conversation.mark()
  await t.rejects(client.query('select 1/0'))
  await client.query('select $1::text || $2::text as both', ['a', null])
  t.strictSame(describeDialogue(conversation.dialogue).split('\n'), [
    '  > Query select 1/0',
    '  < ErrorResponse 22012',
    '  < ReadyForQuery I',
    '  > Parse select $1::text || $2::text as both',
    '  > Bind',
    '  > Describe P',
    '  > Execute',
    '  > Sync',
    '  < ParseComplete',
    '  < BindComplete',
    '  < RowDescription',
    '  < DataRow [null]',
    '  < CommandComplete SELECT 1',
    '  < ReadyForQuery I'
  ])
  const long = await client.query(`select repeat('x', 1000000) as long, 'y' as short`)
  t.equal(long.rows[0].long.length, 1_000_000)
  t.equal(conversation.dialogue.filter(({ isPassed }) => isPassed).length, 14 + 5)
})

t.test('tells which statement an answer is about, several under one Sync', async t => {
  const { client, conversation } = await open(t)
  await client.query({ name: 'named', text: 'select 1' })
  conversation.mark()
  await client.query('begin; select 2')
  await together(client, ['select 3', '', 'select 4/0', 'select 5']).catch(() => {})
  await client.query('rollback')
  await client.query({ name: 'named', text: 'select 1' })
  const answers = conversation.dialogue.filter(({ name }) =>
    /CommandComplete|DataRow|ErrorResponse|EmptyQuery/.test(name)
  )
  t.strictSame(
    answers.map(({ name, detail, statement }) => `${name} ${detail}: ${statement}`),
    [
      'CommandComplete BEGIN: begin; select 2',
      'DataRow ["2"]: begin; select 2',
      'CommandComplete SELECT 1: begin; select 2',
      'DataRow ["3"]: select 3',
      'CommandComplete SELECT 1: select 3',
      'EmptyQueryResponse : ',
      'ErrorResponse 22012: select 4/0',
      'CommandComplete ROLLBACK: rollback',
      'DataRow ["1"]: select 1',
      'CommandComplete SELECT 1: select 1'
    ]
  )
})

for (const how of ['fin', 'rst'] as const) {
  t.test(`a cut by ${how} is exact wherever it is`, async t => {
    const whole = await insertWith(t, { how })
    const count = (way: 'toServer' | 'toClient') =>
      whole.dialogue.filter(message => message.way === way).length
    t.strictSame([count('toServer'), count('toClient')], [5, 5])
    for (const way of ['toServer', 'toClient'] as const) {
      for (let message = 1; message <= count(way); message += 1) {
        for (const side of ['before', 'after'] as const) {
          const point = { way, message, side }
          const name = `${side} message ${message} ${way}`
          const { got, end, dialogue, isKept, bytes } = await insertWith(t, { how, point })
          const passed = dialogue.filter(({ isPassed }) => isPassed)
          const ownPassed = passed.filter(message => message.way === way).length
          t.equal(ownPassed, side === 'before' ? message - 1 : message, name)
          t.equal(got, bytes, `${name}: the client has got what had passed`)
          t.equal(end, how === 'fin' ? 'end' : 'ECONNRESET', name)
          t.equal(
            isKept,
            passed.some(({ name }) => name === 'Sync'),
            `${name}: and so has the server`
          )
        }
      }
    }
  })
}

t.test(
  'a backend is killed between two messages, and its last words arrive with what it had said',
  async t => {
    const { client, conversation } = await open(t)
    const terminate = (pid: number) => postgres.admin('select pg_terminate_backend($1)', [pid])
    conversation.mark()
    const isReady = ({ name }: { name: string }) => name === 'ReadyForQuery'
    const killed = new Promise<void>(resolve => {
      const point: Point = { way: 'toClient', side: 'before', message: isReady }
      conversation.at(point, () => resolve(conversation.kill(terminate)))
    })
    const lost = new Promise<unknown>(resolve => client.once('error', resolve))
    await client.query('insert into kept values (2)')
    const late = t.rejects(client.query('insert into kept values (3)'))
    await Promise.all([killed, late])
    t.match(await lost, { code: '57P01' })
    t.equal(conversation.isCut, true)
    t.strictSame(describeDialogue(conversation.dialogue).split('\n'), [
      '  > Query insert into kept values (2)',
      '  < CommandComplete INSERT 0 1',
      '  < ReadyForQuery I',
      '  < ErrorResponse 57P01'
    ])
    t.strictSame(await postgres.admin('select id from kept where id > 1'), [{ id: 2 }])
  }
)

t.test('a client may come back after the cut', async t => {
  const { proxy, client, conversation } = await open(t)
  conversation.mark()
  conversation.cutAt({ way: 'toServer', side: 'before', message: 1 }, 'fin')
  await t.rejects(client.query('select 1'), { message: /terminated unexpectedly/ })
  t.match(await (await connect(t, proxy)).query('select 1 as one'), { rows: [{ one: 1 }] })
  t.strictSame(
    proxy.conversations.map(({ isCut }) => isCut),
    [true, false]
  )
  proxy.forget()
  t.throws(() => proxy.of(conversation.pid!), /No connection/)
})

t.test('anything can be done at a point, once, and a mark takes it back', async t => {
  const { client, conversation } = await open(t)
  const done: string[] = []
  const point: Point = {
    way: 'toClient',
    side: 'before',
    message: ({ statement, name }) => name === 'CommandComplete' && statement === 'select 2'
  }
  conversation.at(point, () => done.push('dropped'))
  conversation.mark()
  const frozen = new Promise<void>(resolve => {
    conversation.at(point, () => {
      done.push('frozen')
      conversation.connection.freeze('toClient')
      resolve()
    })
  })
  await client.query('select 1')
  const held = client.query('select 2').then(() => done.push('answered'))
  await frozen
  await postgres.admin('select 1')
  t.strictSame(done, ['frozen'])
  conversation.connection.thaw()
  await held
  await client.query('select 2')
  t.strictSame(done, ['frozen', 'answered'])

  conversation.connection.freeze('toClient')
  const lost = t.rejects(client.query('select 3'))
  await new Promise<void>(resolve => {
    const isReady = ({ name }: { name: string }) => name === 'ReadyForQuery'
    conversation.at({ way: 'toClient', side: 'after', message: isReady }, resolve)
  })
  t.throws(() => conversation.cutExactly('fin'), /still in the proxy/)
  conversation.cut('fin')
  await lost
})

/** One INSERT, as node-postgres sends it, cut or not, and what each side has got of it. */
async function insertWith(t: Test, { point, how }: { point?: Point; how: 'fin' | 'rst' }) {
  await postgres.admin('truncate kept')
  const { proxy, client, socket, conversation } = await open(t)
  const ended = new Promise<string>(resolve => {
    socket.once('end', () => resolve('end'))
    socket.once('error', error => resolve('code' in error ? String(error.code) : error.message))
  })
  conversation.mark()
  if (point) conversation.cutAt(point, how)
  await client.query('insert into kept values ($1)', [1]).catch(() => {})
  if (!point) await client.end()
  const end = await ended
  await untilGone(postgres, conversation)
  return {
    end,
    got: socket.bytesRead,
    bytes: proxy.proxy.bytes.toClient,
    dialogue: conversation.dialogue.filter(({ name }) => name !== 'Terminate'),
    isKept: (await postgres.admin('select from kept')).length === 1
  }
}

async function untilGone(postgres: TestPostgres, { pid }: Conversation): Promise<void> {
  while ((await postgres.backends({ pids: [pid ?? 0] })).length > 0);
}

async function open(t: Test) {
  const proxy = await startProtocolProxy(t, postgres)
  const socket = new Socket()
  const client = await connect(t, proxy, socket)
  const { rows } = await client.query('select pg_backend_pid() as pid')
  return { proxy, client, socket, conversation: proxy.of(rows[0].pid) }
}

async function connect(t: Test, { proxy }: ProtocolProxy, socket = new Socket()) {
  const connectionString = proxy.url(postgres.url)
  const client = new pg.Client({ connectionString, stream: () => socket })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => socket.destroy())
  return client
}

/** Statements of the extended protocol under one Sync. */
function together(client: pg.Client, texts: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const query: Submittable & Record<string, unknown> = {
      submit(connection: Connection) {
        for (const text of texts) {
          connection.parse({ text, types: [], name: '' }, true)
          connection.bind({}, true)
          connection.execute({ portal: '', rows: '0' }, true)
        }
        connection.sync()
      },
      handleError: reject,
      handleReadyForQuery: () => resolve(),
      handleDataRow() {},
      handleCommandComplete() {},
      handleEmptyQuery() {}
    }
    client.query(query)
  })
}
