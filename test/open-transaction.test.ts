import t from 'tap'
import { OpenTransaction } from '../src/open-transaction.js'

t.test(
  'a transaction that was opened has not begun: its first statement carries BEGIN',
  async t => {
    const transaction = new OpenTransaction('BEGIN ISOLATION LEVEL SERIALIZABLE', false)
    t.match(transaction, {
      begin: 'BEGIN ISOLATION LEVEL SERIALIZABLE',
      isReadOnly: false,
      isBegun: false,
      beginning: undefined
    })
    t.equal(new OpenTransaction('BEGIN READ ONLY', true).isReadOnly, true)
  }
)
