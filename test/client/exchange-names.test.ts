import t from 'tap'
import type { Client } from '../../src/client/client.js'
import { EvidencePart } from '../../src/client/evidence.js'
import { Exchange } from '../../src/client/exchange.js'
import { ControlPart, type Part } from '../../src/client/parts.js'
import { QueryPart } from '../../src/client/query-part.js'
import { openClient, run } from '../fixtures/open-client.js'
import { startPostgres } from '../fixtures/postgres.js'

const postgres = await startPostgres(t)

const query = (text: string, ...values: unknown[]) => new QueryPart({ text }, values)
const named = (name: string, text: string, ...values: unknown[]) =>
  new QueryPart({ name, text }, values)
const rowsOf = ({ result }: QueryPart) => (result as { rows: unknown[] }).rows
const begin = () => new ControlPart('BEGIN')

const UNWRITABLE = {
  toPostgres() {
    throw new RangeError('This value cannot be sent')
  }
}

function exchange(client: Client, ...parts: Part[]): Promise<unknown> {
  return client.run(new Exchange(parts, () => {}))
}

/** That a name is as good as new: it takes a text, and is prepared with it. */
async function assertUsable(t: Tap, client: Client, name: string): Promise<void> {
  if (client.isInTransaction) await run(client, 'rollback')
  for (let round = 1; round <= 2; round += 1) {
    t.strictSame((await run(client, { name, text: 'select 7 x' })).rows, [{ x: 7 }])
  }
  const prepared = await run(client, 'select name from pg_prepared_statements where name = $1', [
    name
  ])
  t.equal(prepared.rowCount, 1)
}
type Tap = Pick<typeof t, 'strictSame' | 'equal'>

t.test('a named statement is parsed once, whatever stands around it', async t => {
  const client = await openClient(t, postgres.url)
  const first = named('n', 'select $1::int x', 1)
  await exchange(client, begin(), first, new EvidencePart(undefined), new ControlPart('COMMIT'))
  const second = named('n', 'select $1::int x', 2)
  const third = named('n', 'select $1::int x', 3)
  await exchange(client, second, third)
  t.strictSame([first, second, third].map(rowsOf), [[{ x: 1 }], [{ x: 2 }], [{ x: 3 }]])
  const { rows } = await run(
    client,
    'select generic_plans + custom_plans n from pg_prepared_statements'
  )
  t.strictSame(rows, [{ n: '3' }])
})

t.test('a name whose statement could not be parsed behind a BEGIN is as good as new', async t => {
  const client = await openClient(t, postgres.url)
  await t.rejects(exchange(client, begin(), named('n', 'select nonsense')), { code: '42703' })
  await assertUsable(t, client, 'n')
})

t.test('so is one that was parsed, and failed then', async t => {
  const client = await openClient(t, postgres.url)
  await t.rejects(exchange(client, begin(), named('n', 'select 1 / $1::int', 0)), { code: '22012' })
  await run(client, 'rollback')
  t.strictSame((await run(client, { name: 'n', text: 'select 1 / $1::int' }, [1])).rows.length, 1)
})

t.test('so is one that was skipped, since what stood before it failed', async t => {
  for (const failing of [new ControlPart('BEGIN BADLY'), query('select 1/0')]) {
    const client = await openClient(t, postgres.url)
    await t.rejects(exchange(client, failing, named('n', 'select 7 x')))
    await assertUsable(t, client, 'n')
  }
})

t.test('so is one whose value could not be sent', async t => {
  for (const before of [[], [begin()]]) {
    const client = await openClient(t, postgres.url)
    const part = named('n', 'select 7 x, $1::text', UNWRITABLE)
    await t.rejects(exchange(client, ...before, part), RangeError)
    if (client.isInTransaction) await run(client, 'rollback')
    t.match(await run(client, { name: 'n', text: 'select 7 x, $1::text' }, ['a']), {
      rows: [{ x: 7 }]
    })
  }
})

t.test('so is one behind a value that could not be sent', async t => {
  const client = await openClient(t, postgres.url)
  const parts = [query('select $1::text', UNWRITABLE), named('n', 'select 7 x')]
  await t.rejects(exchange(client, ...parts), RangeError)
  await assertUsable(t, client, 'n')
})

t.test('one name for two texts is refused, before anything is sent', async t => {
  const client = await openClient(t, postgres.url)
  await run(client, { name: 'n', text: 'select 7 x' })
  const onSubmitted = () => t.fail('nothing was')
  const taken = [query('select 1'), named('n', 'select 8 x')]
  await t.rejects(client.run(new Exchange(taken, onSubmitted)), /'n'/)
  const together = [named('m', 'select 1 x'), named('m', 'select 2 x')]
  await t.rejects(client.run(new Exchange(together, onSubmitted)), /'m'/)
  await assertUsable(t, client, 'n')
})

t.test('whatever cannot be written, the session goes on', async t => {
  const client = await openClient(t, postgres.url)
  const unwritable: Part[] = [
    query('select $1', UNWRITABLE),
    new QueryPart({ name: 5, text: 'select 1' } as never, undefined),
    new QueryPart({ text: 5 } as never, undefined)
  ]
  for (const [index, part] of unwritable.entries()) {
    for (const before of [[], [begin()]]) {
      await t.rejects(exchange(client, ...before, part), `the ${index + 1}.`)
      if (client.isInTransaction) await run(client, 'rollback')
      t.match(await run(client, 'select 7 x'), { rows: [{ x: 7 }] })
    }
  }
})

t.test('one that was prepared before stays so behind a value that could not be sent', async t => {
  const client = await openClient(t, postgres.url)
  await run(client, { name: 'n', text: 'select 7 x' })
  const parts = [query('select $1::text', UNWRITABLE), named('n', 'select 7 x')]
  await t.rejects(exchange(client, ...parts), RangeError)
  await assertUsable(t, client, 'n')
})

t.test(
  'one that was prepared before stays so, if its next value is not even looked at',
  async t => {
    const client = await openClient(t, postgres.url)
    await run(client, { name: 'n', text: 'select 7 x, $1::text' }, ['a'])
    const parts = [query('select 1/0'), named('n', 'select 7 x, $1::text', UNWRITABLE)]
    await t.rejects(exchange(client, ...parts), RangeError)
    t.match(await run(client, { name: 'n', text: 'select 7 x, $1::text' }, ['b']), { rowCount: 1 })
  }
)
