import t from 'tap'
import { clientConfig } from '../src/client/config.js'
import { openPool } from '../src/engine-pool.js'
import { Emitter } from '../src/events.js'
import { createJudge } from '../src/judge.js'
import { engineOptionsSchema } from '../src/options.js'
import { Roles } from '../src/roles.js'
import { startPostgres } from './fixtures/postgres.js'

const postgres = await startPostgres(t)

t.test('its clients come from the connector, and what happens to them is told', async t => {
  const options = engineOptionsSchema.parse({ pool_size: 1, max_overflow: 0 })
  const lines: string[] = []
  const note = (_fields: object, message: string) => lines.push(message)
  const log = { debug: note, info: note, warn: note }
  const emitter = new Emitter(() => {})
  const roles = new Roles()
  const judge = createJudge(undefined, () => {}, roles)
  const config = clientConfig(postgres.url, options)
  const { connector, pool } = openPool({ config, options, emitter, judge, roles, log })
  const told: string[] = []
  for (const event of ['connect', 'checkin', 'close'] as const) {
    emitter.on(event, () => told.push(event))
  }
  const lease = await pool.checkout()
  t.ok(lease.client.pid > 0)
  t.equal(connector.lastError, undefined)
  pool.checkin(lease)
  await pool.close(1000)
  t.strictSame(told, ['connect', 'checkin', 'close'])
  t.strictSame(lines, [], 'nothing happened that is worth a line')
})
