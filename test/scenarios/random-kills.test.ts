import t from 'tap'
import { buildApp, named } from '../fixtures/app.js'
import { addRoutes, lies, SCHEMA, startLoad } from '../fixtures/mixed-load.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)
await postgres.admin(SCHEMA)

const KILLS = 300
const REQUESTS = 1000
const CLIENTS = 15
/** At a server whose backends are killed this often: one in so many requests. */
const PACE = 5

t.test('random kills under load cost no truth, and leak nothing', async t => {
  const warnings: string[] = []
  const onWarning = (warning: Error) => warnings.push(warning.message)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))

  const app = await buildApp(t, { url: named(postgres.url, 'kills') }, addRoutes)
  const load = startLoad(app)
  let killed = 0
  for (; killed < KILLS || load.answers.length < REQUESTS; killed += 1) {
    await load.served(PACE)
    await postgres.admin(
      `select pg_terminate_backend(pid) from (
         select pid from pg_stat_activity where application_name = 'kills'
         order by random() limit 1
       ) as victim`
    )
  }
  await load.stop()

  const answers = new Map<string, number>()
  for (const { kind, status, code = '' } of load.answers) {
    const answer = `${kind} ${status} ${code}`
    answers.set(answer, (answers.get(answer) ?? 0) + 1)
  }
  t.comment(`${killed} kills; ${[...answers].map(entry => entry.join(' x ')).join(', ')}`)
  for (const answer of answers.keys()) t.match(answer, /(200 |503 FST_DB_\w+)$/)
  t.same(await lies(postgres, load.answers), [])
  const failed = load.answers.filter(({ status }) => status !== 200)
  t.ok(failed.length < killed / 2, 'most of them are not seen')

  const status = app.db.status()
  t.match(status, { checkedOut: 0, waiting: 0 })
  t.ok(status.size <= CLIENTS)
  const backends = await postgres.backends({ applicationName: 'kills' })
  t.ok(backends.length <= CLIENTS, `${backends.length} sessions`)
  t.same(warnings, [])
  t.equal((await app.inject('/read')).statusCode, 200)
})
