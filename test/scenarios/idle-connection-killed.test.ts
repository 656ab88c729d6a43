import t from 'tap'
import { buildApp, named, servedBy } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

/** As many clients idle as requests were answered at once. */
async function fill(app: Awaited<ReturnType<typeof buildApp>>, count: number): Promise<void> {
  const connections = await Promise.all(Array.from({ length: count }, () => app.db.connect()))
  for (const connection of connections) connection.release()
}

t.test('X02 R03: no request sees that every idle backend was killed', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'all') })
  await fill(app, 5)
  await postgres.terminateBackends({ applicationName: 'all' })
  for (let request = 0; request < 10; request += 1) {
    t.equal((await app.inject('/pid')).statusCode, 200)
  }
})

t.test('X01 R07: without pre-ping neither, once the end of the sessions was heard', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'no_ping'),
    engineOptions: { pool_pre_ping: false }
  })
  await fill(app, 5)
  const reasons: string[] = []
  const allLost = new Promise<void>(resolve => {
    app.db.on('close', ({ reason }) => {
      reasons.push(reason)
      if (reasons.length === 5) resolve()
    })
  })
  await postgres.terminateBackends({ applicationName: 'no_ping' })
  await allLost
  t.same(reasons.slice(0, 2), ['error', 'error'], 'the first tells of itself, the second of all')
  t.equal((await app.inject('/pid')).statusCode, 200)
})

t.test(
  'one backend of many killed: no later request sees it, whatever was heard of it',
  async t => {
    const app = await buildApp(t, {
      url: named(postgres.url, 'one'),
      engineOptions: { pool_size: 10, pool_pre_ping_window: 0 }
    })
    await fill(app, 10)
    for (let round = 0; round < 5; round += 1) {
      const victim = await servedBy(app)
      await postgres.terminateBackends({ pids: [victim] })
      const responses = await Promise.all(Array.from({ length: 10 }, () => app.inject('/pid')))
      t.same(
        responses.map(({ statusCode }) => statusCode),
        Array(10).fill(200)
      )
    }
  }
)

t.test('X36 X37: the process lives, and one death is counted once', async t => {
  const app = await buildApp(t, { url: named(postgres.url, 'once') })
  const victim = await servedBy(app)
  const closed: string[] = []
  app.db.on('close', ({ reason }) => closed.push(reason))
  const lost = new Promise(resolve => app.db.on('close', resolve))
  await postgres.terminateBackends({ pids: [victim] })
  await lost
  t.not(await servedBy(app), victim)
  t.same(closed, ['error'])
  t.equal(app.db.status().generation, 0)
})
