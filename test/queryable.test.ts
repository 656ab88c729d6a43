import type { QueryArrayResult, QueryResult, QueryResultRow, Submittable } from 'pg'
import t from 'tap'
import type { Connection } from '../src/connection.js'
import type { Engine } from '../src/engine.js'
import type { Transaction } from '../src/transaction.js'

/** Whether two types are the same, for the compiler. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

function expectType<A>() {
  return { toBe<B>(..._same: Same<A, B> extends true ? [] : [never]): void {} }
}

/** Never called: it only has to compile, and what must not compile must not. */
export async function compiles(db: Connection, app: Engine, tx: Transaction, cursor: Submittable) {
  const { rows } = await db.query<{ id: number }>('select id from notes where id = $1', [1])
  expectType<typeof rows>().toBe<{ id: number }[]>()
  const arrays = await app.query<[number, string]>({ text: 'select 1', rowMode: 'array' })
  expectType<typeof arrays>().toBe<QueryArrayResult<[number, string]>>()
  const config = await tx.query({ text: 'select $1', values: [1], name: 'named' })
  expectType<typeof config>().toBe<QueryResult<QueryResultRow>>()
  const same = db.query(cursor)
  expectType<typeof same>().toBe<Submittable>()
  const value = await app.transaction(async inner => {
    await inner.transaction(async nested => nested.query('select 1'))
    return 5
  })
  expectType<typeof value>().toBe<number>()

  // @ts-expect-error: a statement of the engine has no session on which a cursor could stay open
  await app.query(cursor)
  // @ts-expect-error: values are an array
  await db.query('select $1', 5)
  // @ts-expect-error: not one of PostgreSQL's
  await db.transaction(async () => {}, { isolationLevel: 'SNAPSHOT' })
  // @ts-expect-error: a savepoint begins nothing, and so takes no options
  await tx.transaction(async () => {}, { readOnly: true })
}

t.type(compiles, 'function', 'the overloads are those of pg')
