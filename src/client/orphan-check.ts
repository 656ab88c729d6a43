import { errorCode } from '../disconnect.js'
import type { SessionParameters } from './config.js'

/** How often a server that is busy with a statement looks whether its client is still there: an orphan dies within it. */
const INTERVAL_MS = 2000

/**
 * What is said of a parameter that nobody knows, or that cannot be had: by PostgreSQL 13 (42704), by one on an operating
 * system without such a look (22023), by poolers (08P01, 0A000).
 */
const REFUSALS: ReadonlySet<string | undefined> = new Set(['42704', '22023', '08P01', '0A000'])

/**
 * Has servers end by themselves what runs for a client that is gone, without which it would run to its end
 * (https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL). A
 * server, or a pooler in front of it, that does not know this is not asked again.
 */
export class OrphanCheck {
  readonly #onRefused: (error: unknown) => void
  #isRefused = false

  constructor(onRefused: (error: unknown) => void) {
    this.#onRefused = onRefused
  }

  /**
   * Has a session be opened with the parameter, and, if it is refused for that, without.
   *
   * @throws what the last attempt does
   */
  async connect<Session>(
    attempt: (defaults: SessionParameters) => Promise<Session>
  ): Promise<Session> {
    if (this.#isRefused) return attempt({})
    try {
      return await attempt({ client_connection_check_interval: String(INTERVAL_MS) })
    } catch (refusal) {
      if (!REFUSALS.has(errorCode(refusal))) throw refusal
      const session = await attempt({})
      if (!this.#isRefused) this.#onRefused(refusal)
      this.#isRefused = true
      return session
    }
  }
}
