import pg from 'pg'
import type { Test } from 'tap'

/** Sees the truth, over a connection of its own that nothing is done to. */
export class Witness {
  readonly #client: pg.Client

  constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(t: Pick<Test, 'teardown'>, url: string): Promise<Witness> {
    const client = new pg.Client(url)
    // The server may go before the test is over.
    client.on('error', () => {})
    await client.connect()
    t.teardown(() => client.end())
    return new Witness(client)
  }

  async rows(key: string): Promise<number> {
    const { rows } = await this.#client.query<{ count: number }>(
      'select count(*)::int count from effects where key = $1',
      [key]
    )
    return rows[0]?.count ?? 0
  }

  async allRows(): Promise<Map<string, number>> {
    const { rows } = await this.#client.query<{ key: string; count: number }>(
      'select key, count(*)::int count from effects group by key'
    )
    return new Map(rows.map(({ key, count }) => [key, count]))
  }

  async terminate(pid: number): Promise<void> {
    await this.#client.query('select pg_terminate_backend($1)', [pid])
  }

  /** Resolves when what these backends did is decided: asks as often as it can. */
  async untilGone(pids: readonly number[]): Promise<void> {
    for (;;) {
      const { rows } = await this.#client.query(
        'select from pg_stat_activity where pid = any($1)',
        [pids]
      )
      if (rows.length === 0) return
    }
  }
}
