import { EventEmitter } from 'node:events'
import t from 'tap'
import { endReadyWaits } from '../../src/client/ready-waits.js'

t.test('who waits for a lost connection, or begins to, is called once', async t => {
  const connection = new EventEmitter()
  const calls: string[] = []
  connection.on('readyForQuery', () => calls.push('driver'))
  connection.once('readyForQuery', () => calls.push('waited'))
  endReadyWaits(connection)
  t.same(calls, [], 'not in the middle of what goes on')
  connection.once('end', () => calls.push('another event'))
  connection.once('readyForQuery', () => calls.push('waits'))
  await new Promise(setImmediate)
  t.same(calls, ['waited', 'waits'])
})
