import t from 'tap'
import { Caller } from '../src/caller.js'

t.test('who goes takes along what was not written for it yet, and nothing else', async t => {
  const reason = new Error('enough')
  for (const isSubmitted of [true, false]) {
    const interrupted: unknown[] = []
    const client = { interrupt: (...args: unknown[]) => interrupted.push(args) }
    const query = { isSubmitted }
    const caller = new Caller()
    t.match(caller, { isGone: false, boundTo: undefined })
    caller.handed(client as never, query as never)
    caller.leave(reason)
    t.equal(caller.isGone, true)
    t.same(interrupted, isSubmitted ? [] : [[reason, query]])
  }
  const early = new Caller()
  early.leave(reason)
  t.equal(early.isGone, true, 'before anything was handed over')
})
