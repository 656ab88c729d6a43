import t from 'tap'
import { beginning, unlimited } from '../src/statement-timeout.js'

const texts = (parts: { text: string }[]) => parts.map(({ text }) => text)

t.test('without a deadline BEGIN goes alone, and COMMIT too', async t => {
  t.strictSame(texts(beginning('BEGIN READ ONLY', undefined)), ['BEGIN READ ONLY'])
  t.strictSame(texts(unlimited(undefined)), [])
})

t.test('what is left of the time goes with BEGIN, and no limit is left for COMMIT', async t => {
  t.strictSame(texts(beginning('BEGIN', 1500)), ['BEGIN', 'SET LOCAL statement_timeout = 1500'])
  t.strictSame(texts(unlimited(1500)), ['SET LOCAL statement_timeout = 0'])
})
