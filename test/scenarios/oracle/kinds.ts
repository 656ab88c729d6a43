/** The part of `req.db` that the requests use. */
interface Queryable {
  query(statement: Statement): Promise<{ rows: unknown[] }>
}

interface Database extends Queryable {
  transaction<Result>(
    fn: (transaction: Queryable) => Promise<Result>,
    options?: { readOnly?: boolean; retries?: number }
  ): Promise<Result>
  batch(statements: Statement[]): Promise<unknown>
}

interface Statement {
  readonly text: string
  readonly values?: unknown[]
  readonly readOnly?: boolean
}

/** One fixed dialogue with the database, as a route has it. */
export interface RequestKind {
  readonly name: string
  /** How many rows with its key the request leaves: all of them, or none. */
  readonly rows: number
  /** The statement after which, as long as it is not answered, nobody can know without asking the server. */
  readonly doubt: RegExp | undefined
  /** The route's `config.db`. */
  readonly config?: object
  /** Its connection is verified before it is lent, by whatever way is the cheapest for its first statement. */
  readonly isVerified?: boolean
  handle(db: Database, key: string): Promise<unknown>
  /** What a success answers. */
  answer(key: string): unknown
}

export const SCHEMA = `
  create table effects (key text not null, n int not null);
  create index on effects (key);
  create table settings (value int not null);
  insert into settings values (42);
  create role reader;
  create table visible (who text not null);
  insert into visible values ('reader'), ('superuser');
  grant select on visible to reader;
  alter table visible enable row level security;
  create policy reader on visible to reader using (who = 'reader');`

/** A row that only a session without the role gets to see. */
export const SEEN_WITHOUT_ROLE = 'superuser'

const AUTOCOMMIT = /^insert/
const COMMIT = /^commit/i
const DONE = { done: true }

const insert = (key: string, n: number): Statement => ({
  text: 'insert into effects (key, n) values ($1, $2)',
  values: [key, n]
})
const READ: Statement = { text: 'select value from settings' }
const READ_ROWS = [{ value: 42 }]

const BASIC_KINDS = {
  insert: {
    name: 'autocommit INSERT',
    rows: 1,
    doubt: AUTOCOMMIT,
    handle: async (db, key) => {
      await db.query(insert(key, 1))
      return DONE
    },
    answer: () => DONE
  },
  returning: {
    name: 'INSERT … RETURNING',
    rows: 1,
    doubt: AUTOCOMMIT,
    handle: async (db, key) => {
      const { text, values } = insert(key, 1)
      return (await db.query({ text: `${text} returning key`, values: values ?? [] })).rows
    },
    answer: key => [{ key }]
  },
  transaction: {
    name: 'transaction of two INSERTs',
    rows: 2,
    doubt: COMMIT,
    handle: (db, key) =>
      db.transaction(async transaction => {
        await transaction.query(insert(key, 1))
        await transaction.query(insert(key, 2))
        return DONE
      }),
    answer: () => DONE
  },
  route: {
    name: 'route transaction',
    rows: 1,
    doubt: COMMIT,
    config: { transaction: true },
    handle: async (db, key) => {
      await db.query(insert(key, 1))
      return DONE
    },
    answer: () => DONE
  },
  read: {
    name: 'read',
    rows: 0,
    doubt: undefined,
    handle: async db => (await db.query(READ)).rows,
    answer: () => READ_ROWS
  },
  readOnlyTransaction: {
    name: 'read-only transaction',
    rows: 0,
    doubt: undefined,
    handle: db =>
      db.transaction(async transaction => (await transaction.query(READ)).rows, { readOnly: true }),
    answer: () => READ_ROWS
  },
  readOnlyQuery: {
    name: 'read-only statement',
    rows: 0,
    doubt: undefined,
    handle: async db => (await db.query({ ...READ, readOnly: true })).rows,
    answer: () => READ_ROWS
  },
  retried: {
    name: 'retried transaction',
    rows: 1,
    doubt: COMMIT,
    handle: (db, key) =>
      db.transaction(
        async transaction => {
          await transaction.query(insert(key, 1))
          return DONE
        },
        { retries: 2 }
      ),
    answer: () => DONE
  },
  batch: {
    name: 'batch of two INSERTs',
    rows: 2,
    doubt: COMMIT,
    handle: async (db, key) => {
      await db.batch([insert(key, 1), insert(key, 2)])
      return DONE
    },
    answer: () => DONE
  },
  insertThenRead: {
    name: 'INSERT, then a read',
    rows: 1,
    doubt: AUTOCOMMIT,
    handle: async (db, key) => {
      await db.query(insert(key, 1))
      return (await db.query(READ)).rows
    },
    answer: () => READ_ROWS
  },
  roleThenRead: {
    name: 'SET ROLE, then a read',
    rows: 0,
    doubt: undefined,
    handle: async db => {
      await db.query({ text: 'set role reader' })
      return (await db.query({ text: 'select who from visible' })).rows
    },
    answer: () => [{ who: 'reader' }]
  }
} satisfies Record<string, RequestKind>

export const KINDS = {
  ...BASIC_KINDS,
  insertVerified: verified(BASIC_KINDS.insert),
  transactionVerified: verified(BASIC_KINDS.transaction),
  routeVerified: verified(BASIC_KINDS.route),
  readVerified: verified(BASIC_KINDS.read),
  roleThenReadVerified: verified(BASIC_KINDS.roleThenRead)
} satisfies Record<string, RequestKind>

function verified(kind: RequestKind): RequestKind {
  return { ...kind, name: `${kind.name}, verified`, isVerified: true }
}

export const ALL_KINDS: readonly RequestKind[] = Object.values(KINDS)
