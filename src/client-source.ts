import type { ClientSource } from './client/pg-pool.js'
import type { Connection } from './connection.js'
import type { Engine } from './engine.js'
import { Ledger } from './ledger.js'

/**
 * The engine as its `pg.Pool` uses it. What runs there is in no request's ledger.
 *
 * @param limit how many clients the engine has at most
 */
export function clientSource(engine: Engine, limit: number): ClientSource {
  const connection = (): Connection => engine.connection(new Ledger(), true)
  return {
    limit,
    status: () => engine.status(),
    connection,
    async connect() {
      const lent = connection()
      return { connection: lent, client: await lent.lend() }
    },
    onConnect: listener => engine.on('connect', ({ client }) => listener(client)),
    onClose: listener =>
      engine.on('close', ({ client, reason, error }) =>
        listener(client, reason === 'error' ? error : undefined)
      )
  }
}
