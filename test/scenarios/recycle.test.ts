import t from 'tap'
import { buildApp, named, servedBy } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('R49 C03: a client that grew too old is replaced, in the background', async t => {
  const app = await buildApp(t, {
    url: named(postgres.url, 'recycle'),
    engineOptions: { pool_recycle: 0.05, pool_pre_ping: false }
  })
  const replaced = new Promise<void>(resolve => {
    app.db.on('invalidate', ({ reason }) => {
      t.equal(reason, 'recycle')
      resolve()
    })
  })
  const reconnected = new Promise<void>(resolve => {
    let connects = 0
    app.db.on('connect', () => {
      connects += 1
      if (connects === 2) resolve()
    })
  })
  const old = await servedBy(app)
  await replaced
  await reconnected
  t.not(await servedBy(app), old)
})
