import t from 'tap'
import type { Client } from '../src/client/client.js'
import { Script } from '../src/client/script.js'
import { runScript } from '../src/run-script.js'
import { openClient, run } from './fixtures/open-client.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)
const state = { code: 'FST_DB_TRANSACTION_STATE' }

function within(client: Client, text: string) {
  const ended: Error[] = []
  return {
    ended,
    result: runScript(client, new Script(text, () => {}), error => ended.push(error))
  }
}

t.test('outside of a transaction it may begin and end what it likes', async t => {
  const client = await openClient(t, postgres.url)
  let submitted = 0
  const onSubmitted = () => {
    submitted += 1
  }
  await runScript(client, new Script('begin; select 1; commit', onSubmitted), undefined)
  t.equal(submitted, 1)
  t.equal(client.isInTransaction, false)
})

t.test('inside of one it may do anything but end it', async t => {
  for (const text of ['select 1; select 2', 'savepoint a; rollback to savepoint a']) {
    const client = await openClient(t, postgres.url)
    await run(client, 'begin')
    const { ended, result } = within(client, text)
    t.ok(await result)
    t.same(ended, [])
  }
})

t.test('that it was ended is told, also where another was begun', async t => {
  for (const text of ['select 1; commit', 'rollback; select 1', 'commit; begin']) {
    const client = await openClient(t, postgres.url)
    await run(client, 'begin')
    const { ended, result } = within(client, text)
    await t.rejects(result, state)
    t.match(ended, [state])
  }
})

t.test('that it failed behind the end is told as it is, and that it was ended too', async t => {
  const client = await openClient(t, postgres.url)
  await run(client, 'begin')
  const { ended, result } = within(client, 'commit; select 1/0')
  await t.rejects(result, { code: '22012' })
  t.match(ended, [state])
})
