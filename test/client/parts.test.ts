import t from 'tap'
import { ControlPart } from '../../src/client/parts.js'
import type { Wire } from '../../src/client/wire.js'

t.test('a control statement is written without parameters, description or Sync', async t => {
  const written: unknown[] = []
  const note = (name: string) => (message: unknown) => written.push([name, message])
  const names = ['parse', 'bind', 'describe', 'execute', 'sync']
  const wire = Object.fromEntries(names.map(name => [name, note(name)]))
  const part = new ControlPart('SAVEPOINT a')
  t.equal(part.fault(), undefined)
  t.equal(part.write(wire as unknown as Wire), undefined)
  t.same(written, [
    ['parse', { text: 'SAVEPOINT a' }],
    ['bind', {}],
    ['execute', {}]
  ])
})

t.test('of its answer the tag is kept', async t => {
  const part = new ControlPart('COMMIT')
  t.equal(part.tag, undefined)
  part.onComplete({ text: 'ROLLBACK' })
  t.equal(part.tag, 'ROLLBACK')
})
