import type { ReportedRole } from './client/reported-role.js'
import type { Verdict } from './disconnect.js'

/**
 * What a refused write (SQLSTATE 25006) says, and about how many clients. An engine that has never met a server that
 * takes writes is there to read from a standby: to replace clients would change nothing. One that has, is on the wrong
 * server now: with all its clients, if this one took writes before; else with this one, which has been connected
 * while the host's name led to a standby. Until a write is refused such a client is lent like any other, for reads.
 */
export class Roles {
  #hasMetWriter = false

  /** A session is about to be lent for the first time. */
  admit(role: ReportedRole): void {
    role.settle()
    this.met(role)
  }

  /** A session was opened, or has changed its role. Where the server does not say, it is taken for a writer. */
  met({ wasWriter }: ReportedRole): void {
    if (wasWriter !== false) this.#hasMetWriter = true
  }

  /** The verdict on a write refused in a session. */
  refused({ isOwn, wasWriter }: ReportedRole): Verdict {
    if (isOwn) return { failure: 'statement', scope: 'none' }
    if (!this.#hasMetWriter) return { failure: 'read_only', scope: 'none' }
    return { failure: 'read_only', scope: wasWriter === false ? 'client' : 'generation' }
  }
}
