import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

const REQUESTS = 1000
const CLIENTS = 15
const WORKERS = 40

t.test('1,000 requests over 15 clients with random kills leak nothing', async t => {
  const warnings: string[] = []
  const onWarning = (warning: Error) => warnings.push(warning.message)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))

  const app = await buildApp(t, {
    url: named(postgres.url, 'kills'),
    engineOptions: { pool_pre_ping_window: 0 }
  })
  const answers = new Map<string, number>()
  let asked = 0
  let killed = 0
  let isOver = false
  const worker = async () => {
    while (asked < REQUESTS) {
      asked += 1
      const response = await app.inject('/twice')
      const answer = `${response.statusCode} ${response.json().code ?? ''}`
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
    }
  }
  const killer = async () => {
    while (!isOver) {
      const backends = await postgres.backends({ applicationName: 'kills' })
      const victim = backends[Math.floor(Math.random() * backends.length)]
      if (victim === undefined) continue
      await postgres.terminateBackends({ pids: [victim.pid] })
      killed += 1
    }
  }
  const killing = killer()
  await Promise.all(Array.from({ length: WORKERS }, worker))
  isOver = true
  await killing

  t.comment(`${killed} kills; ${[...answers].map(entry => entry.join(' x ')).join(', ')}`)
  t.ok(killed > 10)
  for (const answer of answers.keys()) t.match(answer, /^(200 |503 FST_DB_)/)
  const status = app.db.status()
  t.match(status, { checkedOut: 0, waiting: 0 })
  t.ok(status.size <= CLIENTS)
  const backends = await postgres.backends({ applicationName: 'kills' })
  t.ok(backends.length <= CLIENTS, `${backends.length} sessions`)
  t.same(warnings, [])
  t.equal((await app.inject('/pid')).statusCode, 200)
})
