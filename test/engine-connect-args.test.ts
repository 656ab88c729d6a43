import { Socket } from 'node:net'
import t from 'tap'
import { openEngine, servedBy } from './fixtures/open-engine.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

function withoutPassword(): { url: string; password: string } {
  const url = new URL(postgres.url)
  const password = decodeURIComponent(url.password)
  url.password = ''
  return { url: url.href, password }
}

t.test(
  'E38 P94: the socket may be the caller’s, and is asked for anew at each connect',
  async t => {
    const made: Socket[] = []
    const stream = () => {
      made.push(new Socket())
      return made.at(-1)
    }
    const { engine } = openEngine(t, postgres.url, { connect_args: { stream } })
    const connections = await Promise.all([engine.connect(), engine.connect()])
    t.equal(made.length, 2)
    for (const connection of connections) connection.release()
    engine.dispose()
    await servedBy(engine)
    t.equal(made.length, 3)
  }
)

t.test(
  'A14 E28: what the caller’s own socket or password function throws is classified',
  async t => {
    const refused = () => Object.assign(new Error('the proxy is away'), { code: 'ECONNREFUSED' })
    const { url } = withoutPassword()
    const broken = {
      stream: () => {
        throw refused()
      },
      password: () => Promise.reject(refused())
    }
    for (const [name, fail] of Object.entries(broken)) {
      const phases: string[] = []
      const { engine } = openEngine(
        t,
        url,
        { connect_args: { [name]: fail } },
        { isDisconnect: (_error, { phase }) => void phases.push(phase) }
      )
      await t.rejects(
        engine.query('select 1'),
        { code: 'FST_DB_UNAVAILABLE', statusCode: 503, cause: { code: 'ECONNREFUSED' } },
        name
      )
      t.ok(phases.length > 0 && phases.every(phase => phase === 'connect'), name)
      t.match(engine.status(), { size: 0, generation: 0 })
    }
  }
)

t.test('E41: what is changed at one client reaches neither the next nor the options', async t => {
  const { password, url } = withoutPassword()
  const connect_args = { password, application_name: 'first', statement_timeout: 12_345 }
  const before = structuredClone(connect_args)
  const { engine } = openEngine(t, url, { poolclass: 'NullPool', connect_args })
  engine.on('connect', ({ client }) => {
    const parameters: unknown = Reflect.get(client, 'connectionParameters')
    t.match(parameters, { application_name: 'first', statement_timeout: 12_345 })
    Object.assign(parameters as object, { application_name: 'spoilt', port: 1, password: 'spoilt' })
    Object.assign(client, { password: 'spoilt', port: 1 })
  })
  for (let round = 0; round < 3; round += 1) {
    const { rows } = await engine.query("select current_setting('application_name') name")
    t.same(rows, [{ name: 'first' }])
  }
  t.same(connect_args, before)
})

t.test('what the URL says wins over connect_args, and they add the rest', async t => {
  const url = new URL(postgres.url)
  url.searchParams.set('application_name', 'of the URL')
  const { engine } = openEngine(t, url.href, {
    connect_args: {
      application_name: 'of the args',
      host: 'nowhere.invalid',
      statement_timeout: 7000
    }
  })
  const { rows } = await engine.query(
    "select current_setting('application_name') name, current_setting('statement_timeout') timeout"
  )
  t.same(rows, [{ name: 'of the URL', timeout: '7s' }])
})
