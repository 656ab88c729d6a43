import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

for (const mode of ['fast', 'immediate'] as const) {
  t.test(`R50: a server restarted (${mode}) between two requests is not seen`, async t => {
    const app = await buildApp(t, { url: postgres.url })
    t.equal((await app.inject('/pid')).statusCode, 200)
    await postgres.restart(mode)
    t.equal((await app.inject('/pid')).statusCode, 200)
  })
}

t.test(
  'R05 R51 X50 X32: while the server is stopped 503 with Retry-After, then all is well',
  async t => {
    const engineOptions = { pool_size: 3, recovery_timeout: 2 }
    const app = await buildApp(t, { url: postgres.url, engineOptions })
    t.equal((await app.inject('/pid')).statusCode, 200)
    await postgres.stop()
    const requests = Array.from({ length: 100 }, () => app.inject('/pid'))
    for (const response of await Promise.all(requests)) {
      t.equal(response.statusCode, 503)
      t.equal(response.json().code, 'FST_DB_UNAVAILABLE')
      t.match(response.headers['retry-after'], /^[1-9]\d?$/)
    }
    t.equal(app.db.status().state, 'down')
    t.equal(app.db.status().size, 0, 'no slot is lost')
    await postgres.start()
    t.equal((await app.inject('/pid')).statusCode, 200, 'the first request succeeds')
    t.equal(app.db.status().state, 'up')
    const all = await Promise.all(Array.from({ length: 13 }, () => app.inject('/twice')))
    t.ok(all.every(({ statusCode }) => statusCode === 200))
  }
)

t.test('X35: under load each answer is a 200, or a 503 with a code', async t => {
  const app = await buildApp(t, { url: postgres.url })
  let isOver = false
  const answers = new Map<string, number>()
  const worker = async () => {
    while (!isOver) {
      const response = await app.inject('/twice')
      const answer = `${response.statusCode} ${response.json().code ?? ''}`
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
    }
  }
  const load = Promise.all(Array.from({ length: 16 }, worker))
  for (const mode of ['fast', 'immediate', 'fast', 'immediate'] as const) {
    await postgres.restart(mode)
    // Served again before the next one, so that each restart meets live sessions.
    while ((await app.inject('/pid')).statusCode !== 200) t.pass('not back yet')
  }
  isOver = true
  await load
  for (const answer of answers.keys()) t.match(answer, /^(200 |503 FST_DB_)/)
  t.equal((await app.inject('/pid')).statusCode, 200)
  t.equal(app.db.status().checkedOut, 0)
})
