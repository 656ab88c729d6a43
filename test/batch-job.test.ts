import t from 'tap'
import { BatchJob } from '../src/batch-job.js'
import { QueryPart } from '../src/client/query-part.js'
import { TransactionStateError } from '../src/errors.js'

function jobOf(texts: string[], isReadOnly = false) {
  return new BatchJob(
    texts.map(text => ({ text })),
    isReadOnly
  )
}

t.test('what a batch can do and leaves behind follows from its statements', async t => {
  const read = 'select 1'
  const write = 'insert into a values (1)'
  const expected: [string[], object][] = [
    [[read, 'values (1)'], { effect: 'read', isPlainRead: true, isRepeatable: true }],
    [[read, write], { effect: 'change', isPlainRead: false, isRepeatable: true }],
    [[write, 'call a()'], { effect: 'change', isRepeatable: false, leavesState: true }]
  ]
  for (const [texts, facts] of expected) {
    const job = jobOf(texts)
    t.match(job, { ...facts, block: 'BEGIN', effectInBlock: undefined }, job.text)
  }
})

t.test('one that is kept from writing is READ ONLY, whatever it says', async t => {
  const job = jobOf(['select lower(a) from b', 'select f()'], true)
  t.match(job, { effect: 'read', block: 'BEGIN READ ONLY', effectInBlock: 'read' })
  t.equal(job.isPlainRead, false, 'a function is no plain read')
})

t.test('it is called off as the transaction is that it is part of', async t => {
  const { signal } = new AbortController()
  t.same(new BatchJob([{ text: 'select 1' }], false, signal).signals, [signal])
  t.equal(jobOf(['select 1']).signals, undefined)
})

t.test('its parts are made anew for each try, and give results in their order', async t => {
  const job = jobOf(['select 1', 'select 2'])
  const [first, second] = [job.parts(), job.parts()]
  t.same(
    first.map(part => part.text),
    ['select 1', 'select 2']
  )
  t.not(first[0], second[0])
  for (const [index, part] of first.entries()) {
    if (!(part instanceof QueryPart)) return t.fail('parts of a batch are queries')
    part.adopt(undefined, undefined)
    part.onComplete({ text: `SELECT ${index}` })
  }
  t.match(job.result(first), [{ rowCount: 0 }, { rowCount: 1 }])
})

t.test('what cannot be part of a batch is refused', async t => {
  for (const text of ['begin', 'commit', 'savepoint a', 'select 1; select 2'])
    t.throws(() => jobOf(['select 1', text]), TransactionStateError, text)
  const { signal } = new AbortController()
  for (const options of [{ signal }, { timeout: 5 }, { readOnly: true }]) {
    const [name] = Object.keys(options)
    const batch = () => new BatchJob([{ text: 'select 1', ...options }], false)
    t.throws(batch, { message: `A statement of a batch takes no ${name}` })
  }
})
