import type { Client } from './client/client.js'
import type { CloseReason } from './events.js'
import type { Checkout, CheckoutRequest, Verification } from './pool/checkout.js'
import { Pool } from './pool/pool.js'
import type { Lease } from './pool/slot.js'

/** Who wants to know; all in milliseconds. */
export interface PoolMeter {
  waited(duration: number): void
  used(duration: number): void
}

/** A pool that tells how long its clients are waited for, and how long they are lent. */
export class MeasuredPool extends Pool<Client> {
  readonly #meter: PoolMeter
  readonly #lentAt = new WeakMap<Lease<Client>, number>()

  constructor(meter: PoolMeter, ...pool: ConstructorParameters<typeof Pool<Client>>) {
    super(...pool)
    this.#meter = meter
  }

  override begin(request?: CheckoutRequest): Checkout<Client> {
    const startedAt = performance.now()
    const checkout = super.begin(request)
    if (checkout.lease !== undefined) this.#lent(checkout.lease, startedAt)
    else {
      checkout.promise.then(
        lease => this.#lent(lease, startedAt),
        () => {}
      )
    }
    return checkout
  }

  /** Nobody has used it. */
  override putBack(lease: Lease<Client>): void {
    this.#lentAt.delete(lease)
    super.putBack(lease)
  }

  override checkin(lease: Lease<Client>, reason?: CloseReason, error?: unknown): void {
    this.#returned(lease)
    super.checkin(lease, reason, error)
  }

  override verificationFailed(lease: Lease<Client>, verification: Verification, error: unknown) {
    this.#returned(lease)
    return super.verificationFailed(lease, verification, error)
  }

  #lent(lease: Lease<Client>, startedAt: number): void {
    const lentAt = performance.now()
    this.#meter.waited(lentAt - startedAt)
    this.#lentAt.set(lease, lentAt)
  }

  /** A second return is none. */
  #returned(lease: Lease<Client>): void {
    const lentAt = this.#lentAt.get(lease)
    if (lentAt === undefined) return
    this.#lentAt.delete(lease)
    this.#meter.used(performance.now() - lentAt)
  }
}
