import t from 'tap'
import { isLastWord } from '../../src/client/last-word.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

t.test('an immediate shutdown is told by a notice, before the connection is closed', async t => {
  const postgres = await startPostgres(t)
  // Now and then a backend goes without a word: PostgreSQL only tries to tell.
  for (let isTold = false; !isTold; ) {
    let lose: (error: unknown) => void = () => {}
    const lost = new Promise(resolve => {
      lose = resolve
    })
    const client = await openClient(t, postgres.url, { onLost: error => lose(error) })
    t.equal(client.hasSaidItsLast, false)
    await postgres.restart('immediate')
    await lost
    isTold = client.hasSaidItsLast
  }
})

t.test('what an application raises in the same words is none', async t => {
  const postgres = await startPostgres(t)
  const client = await openClient(t, postgres.url)
  const raise = "raise warning using errcode = '57P01', message = 'terminating connection'"
  await run(client, `do $$ begin ${raise}; end $$`)
  t.equal(client.hasSaidItsLast, false)
})

t.test('nor is any other notice', async t => {
  t.ok(isLastWord({ code: '57P01', routine: 'quickdie' }))
  t.ok(isLastWord({ code: '57P02', routine: 'quickdie' }))
  for (const notice of [{}, { code: '57P01' }, { routine: 'quickdie' }, { code: '01000' }])
    t.notOk(isLastWord(notice))
})
