import t, { type Test } from 'tap'
import { openClient, pidOf, run, runScript } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'
import { startProxy } from '../fixtures/proxy.js'
import { cutAfter } from '../fixtures/wire.js'

const postgres = await startPostgres(t)
await postgres.admin('create table notes (id int primary key)')

type Outcomes = PromiseSettledResult<unknown>[]

/** All that is done to a session in its life, errors and things started together included. */
async function live(t: Test, url: string, onLost: (error: unknown) => void): Promise<Outcomes> {
  const client = await openClient(t, url, {
    resetMode: 'discard',
    onLost,
    prepare: async raw => {
      await raw.query("set application_name = 'cut'")
    }
  })
  const outcomes = await Promise.allSettled([
    client.ping(30_000),
    run(client, 'begin'),
    run(client, 'insert into notes values ($1)', [1]),
    run(client, 'select 1/0'),
    runScript(client, 'select 1; select 2'),
    run(client, 'rollback'),
    run(client, { name: 'count', text: 'select count(*) from notes' }),
    run(client, 'begin')
  ])
  outcomes.push(...(await Promise.allSettled([client.reset()])))
  outcomes.push(...(await Promise.allSettled([client.ping(30_000), run(client, 'select 3')])))
  await client.close()
  t.not(client.lost, undefined)
  t.ok(pidOf(client) > 0)
  return outcomes
}

for (const how of ['fin', 'rst'] as const) {
  t.test(
    `a ${how.toUpperCase()} behind any message: everything settles, nothing is lost twice, no process ends`,
    { timeout: 100_000 },
    async t => {
      const cut = (limit: number) => cutOnce(t, limit, how)
      const whole = await cut(Number.POSITIVE_INFINITY)
      t.equal(whole.losses, 0, 'the dialogue uncut')
      t.ok(whole.passed > 40, `it has ${whole.passed} messages`)
      for (let limit = 0; limit < whole.passed; limit += 1) {
        const { losses, outcomes } = await cut(limit)
        if (losses > 1) t.fail(`cut behind ${limit}: lost ${losses} times`)
        // From the first that the cut hits, all fail: nothing works on a session that is gone.
        const isHit = outcomes.findIndex(isDisconnected)
        const survivors = outcomes.slice(isHit).filter(({ status }) => status === 'fulfilled')
        if (isHit >= 0 && survivors.length > 0) t.fail(`cut behind ${limit}: some came back`)
      }
    }
  )
}

async function cutOnce(t: Test, limit: number, how: 'fin' | 'rst') {
  let losses = 0
  const proxy = await startProxy(t, postgres)
  const count = cutAfter(proxy, limit, connection => connection.cut(how))
  if (limit === 0) proxy.onConnection(connection => connection.cut(how))
  const outcomes = await live(t, proxy.url(postgres.url), () => {
    losses += 1
  }).catch((reason: unknown): Outcomes => [{ status: 'rejected', reason }])
  proxy.close()
  return { losses, outcomes, passed: count.passed }
}

function isDisconnected(outcome: PromiseSettledResult<unknown>): boolean {
  if (outcome.status === 'fulfilled') return false
  const { code, message } = outcome.reason
  return code === 'ECONNRESET' || /terminated|closed/.test(message)
}
