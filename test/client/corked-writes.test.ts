import t from 'tap'
import type { SessionClient } from '../../src/client/config.js'
import { CorkedWrites } from '../../src/client/corked-writes.js'

t.test('what is written within one turn leaves together, once', async t => {
  const log: string[] = []
  const stream = { cork: () => log.push('cork'), uncork: () => log.push('uncork') }
  const writes = new CorkedWrites({ connection: { stream } } as unknown as SessionClient)
  for (const turn of [1, 2]) {
    log.length = 0
    writes.gather()
    writes.gather()
    t.strictSame(log, ['cork'], `turn ${turn}`)
    await new Promise<void>(resolve => process.nextTick(resolve))
    t.strictSame(log, ['cork', 'uncork'], `after turn ${turn}`)
  }
})
