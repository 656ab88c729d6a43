import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ClientBase } from 'pg'
import t from 'tap'
import { type CloseReason, Emitter, type EventName, isReplacement } from '../src/events.js'

const client = {} as ClientBase
const mistake = new Error('mistake')
const SYNCHRONOUS = ['emit', 'ask', 'askSync'] as const

/** An emitter, and what it reports of its listeners. */
function createEmitter() {
  const reported: [EventName, unknown][] = []
  const emitter = new Emitter((event, error) => reported.push([event, error]))
  return { emitter, reported }
}

/** The promises that were rejected have told so when this resolves. */
const settled = () => new Promise(resolve => setImmediate(resolve))

t.test('P26: listeners are told in the order in which they were added', async t => {
  for (const method of SYNCHRONOUS) {
    const { emitter } = createEmitter()
    const heard: unknown[] = []
    const payload = { client }
    for (const name of ['one', 'two', 'three']) {
      emitter.on('checkout', event => heard.push(name, event === payload))
    }
    emitter.on('checkin', () => heard.push('something else'))
    await emitter[method]('checkout', payload)
    t.strictSame(heard, ['one', true, 'two', true, 'three', true], method)
  }
})

t.test('nobody needs to listen', async t => {
  const { emitter, reported } = createEmitter()
  for (const method of SYNCHRONOUS) await emitter[method]('checkout', { client })
  t.equal(emitter.handleError(context(mistake)), mistake)
  t.strictSame(reported, [])
})

t.test('X12 X13: emit is stopped by no listener, and tells who failed', async t => {
  const { emitter, reported } = createEmitter()
  const heard: string[] = []
  emitter.on('checkin', () => {
    throw mistake
  })
  emitter.on('checkin', async () => {
    throw mistake
  })
  emitter.on('checkin', () => heard.push('last'))
  t.doesNotThrow(() => emitter.emit('checkin', { client }))
  t.strictSame(heard, ['last'])
  await settled()
  t.strictSame(reported, [
    ['checkin', mistake],
    ['checkin', mistake]
  ])
})

t.test('ask waits for each listener before it asks the next', async t => {
  const { emitter } = createEmitter()
  const heard: string[] = []
  let finish = () => {}
  emitter.on('connect', async () => {
    await new Promise<void>(resolve => {
      finish = resolve
    })
    heard.push('slow')
  })
  emitter.on('connect', () => heard.push('next'))
  const asked = emitter.ask('connect', { client }).then(() => heard.push('asked'))
  await settled()
  t.strictSame(heard, [])
  finish()
  await asked
  t.strictSame(heard, ['slow', 'next', 'asked'])
})

t.test(
  'X14: ask rejects with the first error, thrown or rejected, and asks no further',
  async t => {
    for (const listener of [() => Promise.reject(mistake), () => raise(mistake)]) {
      const { emitter, reported } = createEmitter()
      emitter.on('connect', listener)
      emitter.on('connect', () => t.fail('was asked'))
      await t.rejects(emitter.ask('connect', { client }), mistake)
      t.strictSame(reported, [])
    }
  }
)

t.test('askSync throws the first error, and asks no further', async t => {
  const { emitter, reported } = createEmitter()
  emitter.on('checkout', () => raise(mistake))
  emitter.on('checkout', () => t.fail('was asked'))
  t.throws(() => emitter.askSync('checkout', { client }), mistake)
  t.strictSame(reported, [])
})

t.test('A17: askSync does not wait, and a promise that rejects is reported', async t => {
  const { emitter, reported } = createEmitter()
  emitter.on('checkout', async () => {
    throw mistake
  })
  t.doesNotThrow(() => emitter.askSync('checkout', { client }))
  await settled()
  t.strictSame(reported, [['checkout', mistake]])
})

t.test('a listener can be removed, more than once, and by nobody else', async t => {
  const { emitter } = createEmitter()
  const heard: string[] = []
  const remove = emitter.on('detach', () => heard.push('removed'))
  emitter.on('detach', () => heard.push('kept'))
  t.ok(emitter.isHeard('detach'))
  t.notOk(emitter.isHeard('close'))
  remove()
  remove()
  emitter.emit('detach', { client })
  t.strictSame(heard, ['kept'])
})

t.test('a function that is added twice is told twice, and removed one by one', async t => {
  const { emitter } = createEmitter()
  let times = 0
  const listener = () => {
    times += 1
  }
  const [remove] = [emitter.on('detach', listener), emitter.on('detach', listener)]
  emitter.emit('detach', { client })
  t.equal(times, 2)
  remove()
  remove()
  emitter.emit('detach', { client })
  t.equal(times, 3, 'whose listener it is, decides when it goes')
})

t.test('a listener may remove itself while it listens', async t => {
  const { emitter } = createEmitter()
  const heard: string[] = []
  const remove = emitter.on('detach', () => {
    heard.push('once')
    remove()
  })
  emitter.on('detach', () => heard.push('always'))
  for (let times = 0; times < 2; times += 1) emitter.emit('detach', { client })
  t.strictSame(heard, ['once', 'always', 'always'])
})

t.test('a listener that is added while others listen hears of the next event', async t => {
  for (const method of SYNCHRONOUS) {
    const { emitter } = createEmitter()
    const heard: string[] = []
    emitter.on('checkout', () => {
      heard.push('old')
      if (heard.length === 1) emitter.on('checkout', () => heard.push('new'))
    })
    await emitter[method]('checkout', { client })
    t.strictSame(heard, ['old'], method)
    await emitter[method]('checkout', { client })
    t.strictSame(heard, ['old', 'old', 'new'], method)
  }
})

t.test('X28: an event that does not exist, or a listener that is none, is refused', async t => {
  const { emitter } = createEmitter()
  for (const name of ['acquire', 'error', '', 'constructor', 'Connect'] as unknown as EventName[]) {
    t.throws(() => emitter.on(name, () => {}), {
      name: 'TypeError',
      message: /^Expected an event among first_connect, connect, .*, got '/
    })
  }
  for (const listener of [undefined, null, {}, 'log'] as unknown as (() => void)[]) {
    t.throws(() => emitter.on('connect', listener), TypeError)
  }
})

t.test('the same payloads are published on diagnostics channels, listened to or not', async t => {
  const { emitter } = createEmitter()
  const published: unknown[] = []
  const onMessage = (message: unknown, name: string | symbol) => published.push([name, message])
  subscribe('fastify-pg-engine:close', onMessage)
  t.teardown(() => unsubscribe('fastify-pg-engine:close', onMessage))
  const payload = { client, reason: 'ping', error: mistake } as const
  t.ok(emitter.isHeard('close'))
  emitter.emit('close', payload)
  emitter.emit('detach', { client })
  emitter.on('close', event => published.push(event))
  emitter.emit('close', payload)
  t.strictSame(published, [
    ['fastify-pg-engine:close', payload],
    ['fastify-pg-engine:close', payload],
    payload
  ])
  unsubscribe('fastify-pg-engine:close', onMessage)
  t.notOk(createEmitter().emitter.isHeard('close'))
})

t.test('E02: a listener may put another error in the place of one', async t => {
  const { emitter } = createEmitter()
  const other = new Error('other')
  emitter.on('handle_error', () => undefined)
  emitter.on('handle_error', () => 'no error')
  t.equal(emitter.handleError(context(mistake)), mistake)
  emitter.on('handle_error', ({ error }) => error)
  t.equal(emitter.handleError(context(mistake)), mistake)
  emitter.on('handle_error', () => other)
  t.equal(emitter.handleError(context(mistake)), other)
})

t.test(
  'E03: a later listener sees what an earlier one answered, and a throw is the last',
  async t => {
    const { emitter } = createEmitter()
    const [first, thrown] = [new Error('first'), new Error('thrown')]
    const seen: unknown[] = []
    emitter.on('handle_error', ({ chained }) => void seen.push(chained))
    emitter.on('handle_error', () => first)
    emitter.on('handle_error', ({ chained, error, original }) => {
      seen.push(chained, error, original)
    })
    t.equal(emitter.handleError(context(mistake)), first, 'no answer keeps it')
    t.strictSame(seen, [undefined, first, mistake, mistake.cause])
    emitter.on('handle_error', () => raise(thrown))
    emitter.on('handle_error', () => t.fail('was told'))
    t.equal(emitter.handleError(context(mistake)), thrown)
  }
)

t.test('A17: nobody waits for what a listener of errors promises', async t => {
  const { emitter, reported } = createEmitter()
  emitter.on('handle_error', async () => new Error('too late'))
  emitter.on('handle_error', async () => {
    throw mistake
  })
  t.equal(emitter.handleError(context(mistake)), mistake)
  await settled()
  t.strictSame(reported, [['handle_error', mistake]])
})

t.test('X42: a client that is closed for good makes no room for another', async t => {
  const replaced: CloseReason[] = [
    'ping',
    'recycle',
    'generation',
    'error',
    'soft',
    'user',
    'reset'
  ]
  const closed: CloseReason[] = ['overflow', 'detach', 'close']
  t.ok(replaced.every(isReplacement))
  t.notOk(closed.some(isReplacement))
})

function context(error: Error) {
  return { original: error.cause, error, phase: 'statement', statement: 'select 1' } as const
}

function raise(error: Error): never {
  throw error
}
