import { randomUUID } from 'node:crypto'
import t from 'tap'
import { named } from '../../fixtures/app.js'
import { startPostgres } from '../../fixtures/postgres.js'
import { listen } from './app.js'
import { type Answer, askObediently, describeAnswer } from './client.js'
import { truthOf, violationsOf } from './judge.js'
import { ALL_KINDS, type RequestKind, SCHEMA } from './kinds.js'
import { Witness } from './witness.js'

const RESTARTS = 20
const CLIENTS = 8
/** Between two restarts, so that each meets a server at work. */
const SUCCESSES = 50

const postgres = await startPostgres(t)
await postgres.admin(SCHEMA)
const kinds = ALL_KINDS.filter(({ rows, isVerified }) => rows > 0 && !isVerified)

t.test(`no row is lost or doubled when the server is restarted ${RESTARTS} times`, async t => {
  const { app, url } = await listen(named(postgres.url, 'load'), kinds, { isVerified: true })
  t.teardown(() => app.close())
  const histories: { kind: RequestKind; key: string; answers: Answer[] }[] = []
  const successes = new Counter()
  let isOver = false
  let isUp = Promise.resolve()

  const client = async (_: unknown, index: number) => {
    for (let n = index; !isOver; n += 1) {
      const kind = kinds[n % kinds.length]!
      const key = randomUUID()
      // Who obeys Retry-After comes back when the server does; that is seconds, or less.
      const answers = await askObediently(url(kind, key), () => isUp)
      histories.push({ kind, key, answers })
      if (answers.at(-1)?.status === 200) successes.add()
    }
  }
  const load = Promise.all(Array.from({ length: CLIENTS }, client))
  for (let n = 0; n < RESTARTS; n += 1) {
    await successes.more(SUCCESSES)
    isUp = postgres.restart(n % 2 === 0 ? 'fast' : 'immediate')
    await isUp
  }
  await successes.more(SUCCESSES)
  isOver = true
  await load
  await app.close()
  while ((await postgres.backends({ applicationName: 'load' })).length > 0);

  const witness = await Witness.open(t, postgres.url)
  const rowsOf = await witness.allRows()
  const tally = new Map<string, number>()
  let unknown = 0
  for (const { kind, key, answers } of histories) {
    const rows = rowsOf.get(key) ?? 0
    const broken = violationsOf(answers, kind, key, rows)
    if (broken.length > 0) t.fail(`${kind.name}: ${broken.join('; ')}`, { rows, answers })
    const final = answers.at(-1)!
    const isUnknown = truthOf(final, kind, rows) === 'unknown'
    if (isUnknown) unknown += 1
    const what = isUnknown ? `unknown, ${rows > 0 ? 'applied' : 'not applied'}` : summary(final)
    const label = `${kind.name.padEnd(28)} ${what}${answers.length > 1 ? ', repeated' : ''}`
    tally.set(label, (tally.get(label) ?? 0) + 1)
  }
  t.comment(`${histories.length} requests, ${unknown} unknown`)
  for (const [label, count] of [...tally].sort()) t.comment(`${label}: ${count}`)
  t.ok(histories.length >= RESTARTS * SUCCESSES)
})

function summary(answer: Answer): string {
  return answer.status === 200 ? '200' : describeAnswer(answer)
}

/** Counts, and tells when there are so many more. */
class Counter {
  #count = 0
  #waiting: { readonly until: number; readonly resolve: () => void }[] = []

  add(): void {
    this.#count += 1
    for (const { until, resolve } of this.#waiting) if (this.#count >= until) resolve()
    this.#waiting = this.#waiting.filter(({ until }) => until > this.#count)
  }

  more(count: number): Promise<void> {
    return new Promise(resolve => this.#waiting.push({ until: this.#count + count, resolve }))
  }
}
