import t from 'tap'
import { Exchange } from '../../src/client/exchange.js'
import { IsolationPart } from '../../src/client/isolation-part.js'
import { ControlPart } from '../../src/client/parts.js'
import { openClient } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('a transaction says its level in the flush that begins it', async t => {
  const client = await openClient(t, postgres.url)
  for (const level of ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
    const begin = new ControlPart(`BEGIN ISOLATION LEVEL ${level}`)
    await client.run(new Exchange([begin, new IsolationPart(client.transaction)], () => {}))
    t.equal(client.transaction.isDecided(undefined), level !== 'SERIALIZABLE', level)
    await client.run(new Exchange([new ControlPart('COMMIT')], () => {}))
  }
})

t.test('nothing is learned from what is no answer', t => {
  const learned: unknown[] = []
  new IsolationPart({ learn: level => learned.push(level) }).onDataRow({ fields: [null] })
  t.strictSame(learned, [undefined])
  t.end()
})
