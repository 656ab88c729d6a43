import t from 'tap'
import { Script } from '../../src/client/script.js'
import { openClient, runScript } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('each statement of a text has its result, as with pg', async t => {
  const client = await openClient(t, postgres.url)
  t.match(await runScript(client, 'select 1 x; ; select 2 x;'), [
    { rows: [{ x: 1 }] },
    { rows: [{ x: 2 }] }
  ])
  t.match(await runScript(client, 'begin; savepoint a; rollback'), [
    { command: 'BEGIN' },
    { command: 'SAVEPOINT' },
    { command: 'ROLLBACK' }
  ])
})

t.test(
  'a text that fails is rejected when the server is ready, and the status is true',
  async t => {
    const client = await openClient(t, postgres.url)
    await t.rejects(runScript(client, 'begin; select 1/0; select 2'), { code: '22012' })
    t.equal(client.raw.getTransactionStatus(), 'E')
    await runScript(client, 'rollback; select 1')
    t.equal(client.isInTransaction, false)
  }
)

t.test('it knows whether it was written', async t => {
  const client = await openClient(t, postgres.url)
  let written = 0
  const script = () => new Script('select 1; select 2', () => (written += 1))
  await client.run(script())
  t.equal(written, 1)
  await client.close()
  await t.rejects(client.run(script()))
  t.equal(written, 1)
})
