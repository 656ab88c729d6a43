import { EventEmitter, once } from 'node:events'
import { Duplex } from 'node:stream'
import t from 'tap'
import type { SessionClient } from '../../src/client/config.js'
import { Goodbye } from '../../src/client/goodbye.js'
import { FakeClock } from '../fixtures/fake-clock.js'

/** A `pg.Client`, as far as it can be ended. */
class Session extends EventEmitter {
  readonly connection = { stream: new Duplex({ read() {}, write() {} }) }
  end: () => Promise<void> = () => new Promise(() => {})
}

function goodbyeTo(session: Session, clock = new FakeClock(), onClosed = () => {}) {
  session.connection.stream.on('error', () => {})
  return new Goodbye(session as unknown as SessionClient, clock, onClosed)
}

t.test('the one that is told of the end hears of it first', async t => {
  const session = new Session()
  const order: string[] = []
  const goodbye = goodbyeTo(session, new FakeClock(), () => order.push('told'))
  const closed = goodbye.closed.then(() => order.push('closed'))
  session.emit('end')
  await closed
  t.same(order, ['told', 'closed'])
})

t.test('a goodbye that takes its time is cut short', async t => {
  const session = new Session()
  const clock = new FakeClock()
  goodbyeTo(session, clock).say()
  await clock.advance(999)
  t.equal(session.connection.stream.destroyed, false)
  await clock.advance(1)
  t.equal(session.connection.stream.destroyed, true)
})

t.test('so is one that fails', async t => {
  const session = new Session()
  session.end = () => Promise.reject(new Error('write EPIPE'))
  goodbyeTo(session).say()
  await once(session.connection.stream, 'close')
  t.equal(session.connection.stream.destroyed, true)
})

t.test('what runs is told why it is ended by force', async t => {
  const reason = new Error('lost')
  const session = new Session()
  const { stream } = session.connection
  const failed = once(stream, 'error')
  goodbyeTo(session).destroy(reason)
  t.equal((await failed)[0], reason)

  const other = new Session()
  goodbyeTo(other).destroy('no error')
  t.equal(other.connection.stream.errored, null)
})
