import { Account } from './account.js'
import type { Outcome } from './errors.js'

/**
 * What one request is known to have done, over all its databases. It is kept from what was written to sockets and
 * what came back, never from an error: "killed before the first byte" and "committed, reply lost" look the same.
 */
export class Ledger {
  readonly #accounts: Account[] = []
  #isSealed = false

  /** The account of one more connection. */
  open(): Account {
    const account = new Account()
    if (this.#isSealed) account.seal()
    this.#accounts.push(account)
    return account
  }

  /** The verdict if the request failed now: what is open would be rolled back. */
  get outcome(): Outcome {
    if (this.#accounts.some(account => account.hasApplied)) return 'applied'
    if (this.#accounts.some(account => account.isInDoubt)) return 'unknown'
    if (this.#accounts.some(account => account.isOpen || account.hasRolledBack))
      return 'rolled_back'
    return 'none'
  }

  /** Whether repeating the request cannot apply anything twice. */
  get permitsRepeat(): boolean {
    const { outcome } = this
    return outcome === 'none' || outcome === 'rolled_back'
  }

  /** The request has failed: what it has started and not written yet must not have an effect behind its back. */
  cutOff(): void {
    for (const account of this.#accounts) account.cutOff()
  }

  /** A repetition was allowed, for good: nothing that it would repeat may happen any more. */
  seal(): void {
    this.#isSealed = true
    for (const account of this.#accounts) account.seal()
  }
}

const ledgers = new WeakMap<Error, Ledger>()

/** Remembers whose error it is, so that the reply is decided by what its own request has done. */
export function recordLedger(error: Error, ledger: Ledger): void {
  ledgers.set(error, ledger)
}

/** The ledger of the work that failed with this error. */
export function ledgerOf(error: Error): Ledger | undefined {
  return ledgers.get(error)
}
