import t, { type Test } from 'tap'
import { at, openProxied } from '../fixtures/open-proxied.js'
import { startPostgres } from '../fixtures/postgres.js'
import type { Way } from '../fixtures/protocol-messages.js'

/** Networks that fall silent with a COMMIT under way; nothing but the watch ends these waits. */
const engineOptions = { half_open_timeout: 1, connect_timeout: 1 } as const

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int)')
// They do nothing but wait.
t.jobs = 6
const apart = { buffered: true }
let ids = 0

/**
 * A transaction whose COMMIT, or the answer to it, is swallowed with everything that comes after it. Who connects anew
 * hears nothing until `proxy.accept()`.
 */
async function commitInSilence(t: Test, way: Way, recovery_timeout = 60) {
  const { conversation, db, engine, protocol } = await openProxied(t, postgres, {
    ...engineOptions,
    recovery_timeout
  })
  const { proxy } = protocol
  const point =
    way === 'toServer'
      ? at('before', 'Execute', 'COMMIT')
      : at('before', 'CommandComplete', 'COMMIT')
  conversation.at(point, () => {
    conversation.connection.freeze()
    void proxy.blackhole()
  })
  ids += 1
  const id = ids
  const done = db.transaction(tx => tx.query('insert into notes values ($1)', [id]))
  const outcome = done.then(
    () => 'applied',
    error => error.outcome
  )
  const rows = async () => {
    // What the network has swallowed comes too late.
    for (const connection of proxy.connections()) connection.destroy()
    await postgres.terminateBackends({ pids: [conversation.pid!] })
    return (await postgres.admin('select from notes where id = $1', [id])).length
  }
  return { engine, proxy, outcome, rows }
}

for (const way of ['toServer', 'toClient'] as const) {
  t.test(
    `a COMMIT lost in silence (${way}) is answered with the truth when the network is back`,
    apart,
    async t => {
      const { engine, outcome, proxy, rows } = await commitInSilence(t, way)
      engine.on('generation', () => void proxy.accept())
      t.equal(await outcome, way === 'toClient' ? 'applied' : 'rolled_back')
      t.equal(await rows(), way === 'toClient' ? 1 : 0)
    }
  )

  t.test(
    `nobody waits for ever to learn of it while the network stays silent (${way})`,
    apart,
    async t => {
      const { engine, outcome, rows } = await commitInSilence(t, way, 1)
      t.equal(await outcome, 'unknown')
      t.ok(engine.status().counters.connectFailures > 0, 'it was asked for in vain')
      t.equal(await rows(), way === 'toClient' ? 1 : 0)
    }
  )

  t.test(
    `it is learnt as soon as the network is back, with the asking under way (${way})`,
    apart,
    async t => {
      const { engine, outcome, proxy, rows } = await commitInSilence(t, way)
      engine.on('down', () => void proxy.accept())
      t.equal(await outcome, way === 'toClient' ? 'applied' : 'rolled_back')
      t.equal(await rows(), way === 'toClient' ? 1 : 0)
    }
  )
}
