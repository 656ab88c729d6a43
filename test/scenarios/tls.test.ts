import { join } from 'node:path'
import pg from 'pg'
import t from 'tap'
import { buildApp } from '../fixtures/app.js'
import { certificates, startEncrypted } from '../fixtures/encrypted.js'
import type { TestPostgres } from '../fixtures/postgres.js'

const trusted = join(certificates, 'ca.pem')

function urlOf(postgres: TestPostgres, parameters: Record<string, string>): string {
  const url = new URL(postgres.url)
  // A name: `pg` would not check the certificate against an address.
  url.hostname = 'localhost'
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

async function askWhetherEncrypted(t: Parameters<typeof buildApp>[0], url: string) {
  const app = await buildApp(t, { url }, app => {
    app.get('/', async request => {
      const { rows } = await request.db.query(
        'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
      )
      return rows
    })
  })
  return app.inject('/')
}

t.test('verify-full: a certificate of the trusted authority for this host is accepted', async t => {
  const postgres = await startEncrypted(t, 'localhost')
  const verified = { sslmode: 'verify-full', sslrootcert: trusted }
  const reply = await askWhetherEncrypted(t, urlOf(postgres, verified))
  t.same([reply.statusCode, reply.json()], [200, [{ ssl: true }]])

  const untrusted = { sslmode: 'verify-full', sslrootcert: join(certificates, 'other-ca.pem') }
  for (const parameters of [untrusted, { sslmode: 'verify-full' }]) {
    const refused = await askWhetherEncrypted(t, urlOf(postgres, parameters))
    t.match([refused.statusCode, refused.json().code], [500, 'FST_DB_MISCONFIGURED'])
    t.equal(refused.headers['retry-after'], undefined, 'waiting does not mend a certificate')
  }
})

t.test('verify-full: a certificate for another host is refused', async t => {
  const postgres = await startEncrypted(t, 'elsewhere')
  const url = urlOf(postgres, { sslmode: 'verify-full', sslrootcert: trusted })
  const refused = await askWhetherEncrypted(t, url)
  t.match([refused.statusCode, refused.json().code], [500, 'FST_DB_MISCONFIGURED'])
  const unchecked = { rejectUnauthorized: false }
  const client = new pg.Client({ connectionString: postgres.url, ssl: unchecked })
  await client.connect()
  await client.end()
})
