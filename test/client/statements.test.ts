import t from 'tap'
import { PreparedStatements, StatementNames } from '../../src/client/statements.js'
import type { Wire } from '../../src/client/wire.js'

const never = () => t.fail('nothing is given up')

/** As much of a connection as is looked at, and what was closed on it. */
function openWire() {
  const closed: string[] = []
  const wire = {
    parsedStatements: {},
    submittedNamedStatements: {},
    close: ({ name }: { name: string }) => closed.push(name)
  }
  return { closed, wire: wire as unknown as Wire }
}

function failure(code: string, routine: string): Error {
  return Object.assign(new Error(code), { code, routine })
}

/** Prepares a text that came back. */
function prepare(statements: PreparedStatements, wire: Wire, text: string): string {
  const name = statements.assign(text, wire) ?? statements.assign(text, wire) ?? ''
  wire.parsedStatements[name] = text
  return name
}

t.test('a text is named when it comes back, by what it says', async t => {
  const names = new StatementNames(10, never)
  t.equal(names.nameOf('select 1'), undefined)
  t.equal(names.nameOf('select 2'), undefined)
  const name = names.nameOf('select 1')
  t.match(name, /^fastify_pg_[\w-]{43}$/)
  t.ok(Buffer.byteLength(name ?? '') < 64, 'longer names are cut off by the server')
  t.equal(names.nameOf('select 1'), name)
  const others = new StatementNames(10, never)
  others.nameOf('select 1')
  t.equal(others.nameOf('select 1'), name, 'the same in every process')
})

t.test('as many as the option says, the one unused longest goes; 0 is none', async t => {
  const names = new StatementNames(2, never)
  const named = (text: string) => names.nameOf(text) ?? names.nameOf(text) ?? ''
  const [a, b] = [named('a'), named('b')]
  names.nameOf('a')
  const c = named('c')
  t.same(
    [a, b, c].map(name => names.has(name)),
    [true, false, true]
  )
  const none = new StatementNames(0, never)
  t.same(
    [1, 2, 3].map(() => none.nameOf('a')),
    [undefined, undefined, undefined]
  )
})

t.test('texts that never come back leave nothing behind', async t => {
  const names = new StatementNames(1, never)
  for (let i = 0; i < 100; i += 1) names.nameOf(`select ${i}`)
  t.equal(names.nameOf('select 0'), undefined, 'forgotten meanwhile')
})

t.test('what an engine has forgotten is closed on each session', async t => {
  const statements = new PreparedStatements(new StatementNames(1, never))
  const { closed, wire } = openWire()
  const a = prepare(statements, wire, 'a')
  statements.close(wire)
  t.same(closed, [])
  const b = prepare(statements, wire, 'b')
  statements.close(wire)
  t.same(closed, [a])
  t.same(Object.keys(wire.parsedStatements), [b])
})

t.test('a statement that is still being prepared is not relied on', async t => {
  const statements = new PreparedStatements(new StatementNames(9, never))
  const { wire } = openWire()
  statements.assign('a', wire)
  const name = statements.assign('a', wire) ?? ''
  wire.submittedNamedStatements[name] = 'a'
  t.equal(statements.assign('a', wire), undefined)
})

t.test(
  'a result type that changed costs one name, a name that is missing all of the session',
  async t => {
    const statements = new PreparedStatements(new StatementNames(9, never))
    const { closed, wire } = openWire()
    const [a, b] = [prepare(statements, wire, 'a'), prepare(statements, wire, 'b')]
    t.equal(statements.isStale(failure('0A000', 'transformTopLevelStmt'), a, wire), false)
    t.equal(statements.isStale(failure('0A000', 'RevalidateCachedQuery'), 'of_a_user', wire), false)
    t.equal(statements.isStale(failure('0A000', 'RevalidateCachedQuery'), a, wire), true)
    statements.close(wire)
    t.same(closed, [a])
    t.equal(prepare(statements, wire, 'a'), a, 'prepared anew')
    t.equal(statements.isStale(failure('26000', 'FetchPreparedStatement'), b, wire), true)
    statements.close(wire)
    t.same(closed.sort(), [a, a, b].sort())
  }
)

t.test(
  'after an error about a value a statement is prepared anew, in case its types are old',
  async t => {
    const statements = new PreparedStatements(new StatementNames(9, never))
    const { closed, wire } = openWire()
    const [a, b] = [prepare(statements, wire, 'a'), prepare(statements, wire, 'b')]
    t.equal(statements.isStale(failure('22P02', 'pg_strtoint32_safe'), a, wire), false)
    t.equal(statements.isLost(a), false, 'what was sent with it is executed')
    t.same(Object.keys(wire.parsedStatements), [b])
    statements.close(wire)
    t.same(closed, [a])
  }
)

t.test(
  'sessions that do not keep their statements get none any more, and somebody hears of it once',
  async t => {
    const missing = failure('26000', 'FetchPreparedStatement')
    const taken = failure('42P05', 'StorePreparedStatement')
    for (const errors of [
      [missing, missing, missing, missing],
      [taken, taken]
    ]) {
      const givenUp: Error[] = []
      const names = new StatementNames(9, error => givenUp.push(error))
      const { wire } = openWire()
      for (const error of errors) {
        const statements = new PreparedStatements(names)
        const name = prepare(statements, wire, 'a')
        if (name) t.equal(statements.isStale(error, name, wire), true)
      }
      t.same(givenUp, [errors[0]])
      t.equal(names.nameOf('a'), undefined)
    }
  }
)
