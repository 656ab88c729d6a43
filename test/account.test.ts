import t, { type Test } from 'tap'
import { Account, type Effect, effectOf } from '../src/account.js'
import { statementKind } from '../src/statement-kind.js'

/**
 * A session as the account sees it. A text was answered; `!`: it was answered with an error; `?`: it was written and
 * is not answered. `lost`: the session ended, and the next text runs on a new one. `committed`, `aborted`: what was
 * in doubt was found out. `answered`, `refused`: so was the first of those that are not answered yet. `in a block: …`: BEGIN and COMMIT around it, under one Sync.
 */
class Story {
  readonly account = new Account()
  #status: 'I' | 'T' | 'E' = 'I'

  tell(event: string): void {
    if (event === 'lost') this.#lose()
    else if (event === 'committed' || event === 'aborted') this.account.resolved(event)
    else if (event === 'answered') this.account.answered('done', 'INSERT 0 1', false)
    else if (event === 'refused') this.account.answered('failed', undefined, false)
    else this.#run(event)
  }

  get flags(): string[] {
    const { hasApplied, hasRolledBack, isInDoubt, isOpen } = this.account
    const flags = { applied: hasApplied, 'in doubt': isInDoubt, open: isOpen }
    return Object.entries({ ...flags, 'rolled back': hasRolledBack })
      .filter(([, isSo]) => isSo)
      .map(([flag]) => flag)
  }

  #lose(): void {
    this.account.lost()
    this.#status = 'I'
  }

  #run(event: string): void {
    const text = event.replace(/^in a block: | [!?]$/g, '')
    const isBlock = event.startsWith('in a block: ')
    const effect = effectOf(statementKind(text))
    this.account.written(effect, isBlock || this.#isInTransaction)
    if (isBlock && this.account.isOpen) this.account.written('commit', true)
    // What a script does, nobody sees; nor does anybody say when it was answered.
    if (event.endsWith('?') || effect === 'untracked') return
    const tag = isBlock ? 'COMMIT' : this.#answer(text, event.endsWith('!'))
    if (event.endsWith('!')) this.account.answered('failed', undefined, this.#isInTransaction)
    else this.account.answered('done', tag, this.#isInTransaction)
  }

  get #isInTransaction(): boolean {
    return this.#status !== 'I'
  }

  /** What the server does, and its command tag. */
  #answer(text: string, isFailed: boolean): string {
    const { control, chain } = statementKind(text)
    const wasFailed = this.#status === 'E'
    const ends = control === 'commit' || control === 'prepare_transaction'
    if (isFailed) this.#status = this.#isInTransaction && !ends ? 'E' : 'I'
    else if (ends || control === 'rollback') this.#status = chain ? 'T' : 'I'
    else if (control === 'begin' || control === 'rollback_to') this.#status = 'T'
    if (control?.startsWith('rollback') || (ends && wasFailed)) return 'ROLLBACK'
    return TAGS[control ?? 'begin'] ?? 'INSERT'
  }
}

const TAGS: Record<string, string> = { commit: 'COMMIT', prepare_transaction: 'PREPARE' }

/** Stories, and what is known at their end: any of applied, in doubt, open, rolled back. */
function check(t: Pick<Test, 'strictSame'>, table: string): void {
  for (const line of table.trim().split('\n')) {
    const [events = '', expected = ''] = line.split('=>')
    const story = new Story()
    for (const event of events.split(',')) if (event.trim()) story.tell(event.trim())
    const wanted = expected.split(',').map(flag => flag.trim())
    t.strictSame(story.flags, wanted.join() === '' ? [] : wanted, line.trim())
  }
}

t.test('a text has the effect that it may have, as far as it shows', async t => {
  const expected: Record<Effect, string[]> = {
    nothing: [
      'begin',
      'savepoint a',
      'release a',
      'rollback to a',
      'rollback',
      'abort and chain',
      'set role a',
      'listen a',
      'show x'
    ],
    read: ['select 1', 'table t', 'with a as (select 1) select * from a'],
    change: ['insert into t values (1)', 'with a as (delete from t) select 1', 'select f()'],
    command: [
      'call p()',
      'vacuum',
      'set constraints all immediate',
      "commit prepared 'a'",
      'create table t ()',
      ''
    ],
    commit: ['commit', 'end', 'commit and chain', "prepare transaction 'a'"],
    untracked: ['select 1; select 2', 'commit; begin']
  }
  for (const [effect, texts] of Object.entries(expected)) {
    for (const text of texts) t.equal(effectOf(statementKind(text)), effect, text)
  }
})

t.test('an autocommit effect is in doubt until it is answered, a read never', async t => {
  check(
    t,
    `
    =>
    select 1 =>
    select 1 ?, lost =>
    select 1 ! =>
    insert ? => in doubt
    insert => applied
    insert ! => rolled back
    insert ?, lost => in doubt
    insert ?, lost, committed => applied
    insert ?, lost, aborted => rolled back
    insert, insert ! => applied, rolled back
    insert, insert ?, lost => applied, in doubt
    select f() ? => in doubt
    select f() ! => rolled back
    insert, select 1 ?, lost => applied`
  )
})

t.test(
  'of effects that were written together each is answered, lost and found out by itself',
  async t => {
    check(
      t,
      `
    insert ?, insert ?, insert ?, answered => applied, in doubt
    insert ?, insert ?, answered, answered => applied
    insert ?, insert ?, refused => in doubt, rolled back
    insert ?, insert ?, refused, answered => applied, rolled back
    insert ?, insert ?, refused, refused => rolled back
    insert ?, select 1 ?, insert ?, lost, committed => applied, in doubt
    insert ?, insert ?, lost, aborted, committed => applied, rolled back
    insert ?, insert ?, lost, aborted, aborted => rolled back
    insert ?, insert ?, answered, lost => applied, in doubt
    insert ?, insert ?, answered, lost, aborted => applied, rolled back
    insert ?, insert ?, lost, aborted, aborted, insert => applied, rolled back`
    )
  }
)

t.test('a command may have committed inside before it failed', async t => {
  check(
    t,
    `
    call p() => applied
    call p() ! => in doubt
    call p() ?, lost => in doubt
    vacuum ! => in doubt
    call p() !, insert ! => in doubt, rolled back
    begin, call p() ! => open
    begin, call p() !, rollback => rolled back
    begin, call p() ?, lost => rolled back
    begin, create table x (), commit => applied`
  )
})

t.test(
  'effects in a transaction are open until COMMIT, and are undone with the session',
  async t => {
    check(
      t,
      `
    begin =>
    begin ?, lost =>
    begin, insert ? => open
    begin, insert => open
    begin, insert ! => open
    begin, insert, lost => rolled back
    begin, insert ?, lost => rolled back
    begin, insert !, lost => rolled back
    begin, insert, rollback ? => open
    begin, insert, rollback ?, lost => rolled back
    begin, insert, rollback => rolled back
    begin, select 1, commit ?, lost =>
    begin, insert, commit ? => in doubt
    begin, insert, commit ?, lost => in doubt
    begin, insert, commit ?, lost, committed => applied
    begin, insert, commit ?, lost, aborted => rolled back
    begin, insert, commit => applied
    start transaction, insert, end => applied
    begin, insert, commit ! => rolled back
    begin, insert !, commit => rolled back
    begin, insert, insert !, rollback => rolled back
    begin, insert, commit, begin, insert, lost => applied, rolled back
    begin, insert, lost, begin, insert, commit => applied, rolled back
    commit ?, lost =>
    rollback =>
    insert, commit => applied`
    )
  }
)

t.test('what a savepoint undoes counts as open: the rest of its transaction may go on', async t => {
  check(
    t,
    `
    begin, savepoint a, insert, rollback to a => open
    begin, savepoint a, insert !, rollback to a, lost => rolled back
    begin, insert, savepoint a, insert !, rollback to a, commit => applied
    begin, insert, savepoint a, release a => open
    begin, insert, savepoint a, release a ?, lost => rolled back`
  )
})

t.test('AND CHAIN ends one transaction and begins the next', async t => {
  check(
    t,
    `
    begin, insert, commit and chain => applied
    begin, insert, commit and chain, lost => applied
    begin, insert, commit and chain ?, lost => in doubt
    begin, insert, commit and chain, insert => applied, open
    begin, insert, commit and chain, insert, lost => applied, rolled back
    begin, insert !, commit and chain => rolled back
    begin, insert, rollback and chain, lost => rolled back
    begin, insert, rollback and chain, insert, commit => applied`
  )
})

t.test('BEGIN, statements and COMMIT under one Sync are one', async t => {
  check(
    t,
    `
    in a block: insert ? => in doubt
    in a block: insert ?, lost, committed => applied
    in a block: insert ?, lost, aborted => rolled back
    in a block: insert => applied
    in a block: insert ! => rolled back
    in a block: select 1 ?, lost =>
    in a block: select 1 =>`
  )
})

t.test('a prepared transaction is in other hands', async t => {
  check(
    t,
    `
    begin, insert, prepare transaction 'a' ? => in doubt
    begin, insert, prepare transaction 'a' => in doubt
    begin, insert, prepare transaction 'a', lost => in doubt
    begin, insert, prepare transaction 'a' ! => rolled back
    begin, insert !, prepare transaction 'a' => rolled back
    commit prepared 'a' => applied
    commit prepared 'a' ?, lost => in doubt
    rollback prepared 'a' ?, lost => in doubt`
  )
})

t.test('what nobody can see stays in doubt', async t => {
  check(
    t,
    `
    select 1; select 2 => in doubt
    select 1; select 2, lost => in doubt
    select 1; select 2, insert, insert ! => applied, in doubt, rolled back
    insert; insert, begin, insert, lost => in doubt, rolled back
    insert; insert, insert ?, lost, aborted => in doubt, rolled back
    begin, insert; select 1 => in doubt`
  )
})

t.test('nothing that comes later settles what nobody has found out', async t => {
  check(
    t,
    `
    insert ?, lost, select 1 => in doubt
    insert ?, lost, select 1 ! => in doubt
    insert ?, lost, insert => applied, in doubt
    insert ?, lost, insert ! => in doubt, rolled back
    insert ?, lost, begin, insert, rollback => in doubt, rolled back
    begin, insert, commit ?, lost, begin, insert, rollback => in doubt, rolled back
    begin, insert, commit ?, lost, select 1 ! => in doubt
    in a block: insert ?, lost, insert ! => in doubt, rolled back
    insert ?, lost, insert ?, aborted => in doubt, rolled back
    insert ?, lost, insert ?, committed, lost => applied, in doubt
    insert ?, lost, insert ?, lost, aborted => in doubt, rolled back`
  )
})

t.test('what was started before a cut has no effect behind it', async t => {
  const account = new Account()
  const before = account.start()
  t.notOk(account.isCutOff(before, 'change'))
  account.cutOff()
  for (const effect of ['change', 'command', 'commit', 'untracked'] as const)
    t.ok(account.isCutOff(before, effect))
  for (const effect of ['read', 'nothing'] as const) t.notOk(account.isCutOff(before, effect))
  t.notOk(account.isCutOff(account.start(), 'change'), 'what is started later has')
  account.seal()
  t.ok(account.isCutOff(account.start(), 'change'), 'until the account is sealed')
  t.notOk(account.isCutOff(account.start(), 'read'))
})
