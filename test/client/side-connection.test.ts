import t from 'tap'
import { clientConfig } from '../../src/client/config.js'
import { SideConnection } from '../../src/client/side-connection.js'
import { systemClock } from '../../src/clock.js'
import { engineOptionsSchema } from '../../src/options.js'
import { run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'

const postgres = await startPostgres(t)
const options = engineOptionsSchema.parse({})

function partsFor(url: string, connectArgs: object = {}) {
  const config = { ...clientConfig(url, options), ...connectArgs }
  return { config, parameters: {}, clock: systemClock }
}

t.test('it goes where it is told, whatever the name in the URL leads to', async t => {
  const url = new URL(postgres.url)
  url.hostname = 'nowhere.invalid'
  url.port = '1'
  const side = new SideConnection(partsFor(url.href), { host: postgres.host, port: postgres.port })
  t.equal(side.wasAnswered, false)
  const client = await side.open(new AbortController().signal)
  t.match((await run(client, 'select inet_server_port() port')).rows, [{ port: postgres.port }])
  t.equal(side.wasAnswered, true)
  await client.close()
})

t.test(
  'without an endpoint, or with streams of the application, it goes as configured',
  async t => {
    const proxy = await startProxy(t, postgres)
    const elsewhere = { host: '127.0.0.1', port: 1 }
    const { Socket } = await import('node:net')
    let made = 0
    const stream = () => {
      made += 1
      return new Socket()
    }
    for (const [args, endpoint] of [
      [{}, undefined],
      [{ stream }, elsewhere]
    ] as const) {
      const side = new SideConnection(partsFor(proxy.url(postgres.url), args), endpoint)
      const client = await side.open(new AbortController().signal)
      await client.close()
    }
    t.equal(proxy.connects, 2)
    t.equal(made, 1)
  }
)

t.test('a refusal is an answer; silence and a closed port are none', async t => {
  const wrong = new URL(postgres.url)
  wrong.password = 'wrong'
  const refused = new SideConnection(partsFor(wrong.href), undefined)
  await t.rejects(refused.open(new AbortController().signal), { code: '28P01' })
  t.equal(refused.wasAnswered, true)

  const nobody = new SideConnection(partsFor(postgres.url), { host: '127.0.0.1', port: 1 })
  await t.rejects(nobody.open(new AbortController().signal), { code: 'ECONNREFUSED' })
  t.equal(nobody.wasAnswered, false)

  const proxy = await startProxy(t, postgres)
  proxy.freeze()
  const silent = new SideConnection(partsFor(proxy.url(postgres.url)), undefined)
  const calledOff = new AbortController()
  const opening = silent.open(calledOff.signal)
  const late = new Error('late')
  calledOff.abort(late)
  await t.rejects(opening, late)
  t.equal(silent.wasAnswered, false)
})
