import t, { type Test } from 'tap'
import { OrphanCheck } from '../../src/client/orphan-check.js'
import { named } from '../fixtures/app.js'
import { openEngine } from '../fixtures/open-engine.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy, type TestProxy } from '../fixtures/proxy.js'
import { onMessages } from '../fixtures/wire.js'

const postgres = await startPostgres(t)
const NAME = 'client_connection_check_interval'
const ASKED = { [NAME]: '2000' }
const refused = (code: string) => Object.assign(new Error('refused'), { code, severity: 'FATAL' })

/** A server, or a pooler, that refuses whoever asks for it. */
async function startRefusing(t: Test, code: string): Promise<TestProxy> {
  const proxy = await startProxy(t, postgres)
  proxy.onConnection(connection => {
    onMessages(connection.toServer, true, ({ type, bytes }, forward) => {
      if (type !== '' || !bytes.includes(NAME)) {
        forward(bytes)
        return
      }
      const fields = `SFATAL\0VFATAL\0C${code}\0Munrecognized configuration parameter\0\0`
      const head = Buffer.from('E\0\0\0\0')
      head.writeInt32BE(4 + fields.length, 1)
      connection.toClient.forward(Buffer.concat([head, Buffer.from(fields)]))
      connection.toClient.cut('fin')
    })
  })
  return proxy
}

t.test('what runs for a client that is gone is ended by the server', async t => {
  const { engine } = openEngine(t, named(postgres.url, 'orphan'), { half_open_timeout: 0 })
  const connection = await engine.connect()
  const running = t.rejects(connection.query("select pg_sleep(600), 'orphan'"))
  const filter = { applicationName: 'orphan' }
  await postgres.untilBackends({ ...filter, where: "wait_event = 'PgSleep'" })
  // Without a word: no cancel request, no goodbye.
  connection.invalidate(new Error('gone'))
  await running
  while ((await postgres.backends(filter)).length > 0);
  t.pass('it was ended')
})

t.test('a server that refuses it is asked once, and used without it', async t => {
  for (const code of ['42704', '22023', '08P01', '0A000']) {
    const proxy = await startRefusing(t, code)
    const { engine, log } = openEngine(t, proxy.url(postgres.url))
    const { rows } = await engine.query(`show ${NAME}`)
    t.same(rows, [{ [NAME]: '0' }])
    t.match(engine.status(), { state: 'up', lastError: undefined, counters: { connects: 1 } })
    t.equal(proxy.connects, 2)
    engine.invalidate()
    await engine.query('select 1')
    t.equal(proxy.connects, 3)
    t.match(
      log.filter(({ message }) => /client that is gone/.test(message)),
      [{ level: 'info', fields: { err: { code } } }]
    )
  }
})

t.test('of several that are refused at the same time it is told once', async t => {
  let told = 0
  const check = new OrphanCheck(() => (told += 1))
  const attempt = async (parameters: object) => {
    await new Promise(resolve => setImmediate(resolve))
    if (NAME in parameters) throw refused('42704')
    return parameters
  }
  t.same(await Promise.all([check.connect(attempt), check.connect(attempt)]), [{}, {}])
  t.equal(told, 1)
})

t.test('what fails for another reason is not tried again, nor held against it', async t => {
  const attempts: object[] = []
  const check = new OrphanCheck(() => t.fail('it was not refused'))
  for (const code of ['28P01', '57P03']) {
    const failing = async (parameters: object) => {
      attempts.push(parameters)
      throw refused(code)
    }
    await t.rejects(check.connect(failing), { code })
  }
  t.same(attempts, [ASKED, ASKED])
  const alsoWithout = async (parameters: object) => {
    attempts.push(parameters)
    throw refused(NAME in parameters ? '08P01' : '28P01')
  }
  await t.rejects(check.connect(alsoWithout), { code: '28P01' })
  await check.connect(async parameters => attempts.push(parameters))
  t.same(attempts.slice(2), [ASKED, {}, ASKED])
})
