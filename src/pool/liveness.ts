import type { PoolClient } from './contract.js'
import type { Slot } from './slot.js'

export interface LivenessRules {
  /** `pool_pre_ping` */
  readonly isPrePing: boolean
  /** `pool_pre_ping_window`, in milliseconds */
  readonly window: number
}

/** Whether a client must be heard from again before it is lent; always, while the server is known to be away. */
export function mustVerify(
  slot: Slot<PoolClient>,
  client: PoolClient,
  rules: LivenessRules,
  now: number,
  isAway = false
): boolean {
  if (slot.isFresh) return false
  if (isAway) return true
  if (!rules.isPrePing) return false
  return now - client.heardAt >= rules.window
}

/** Why a client must not be lent, as far as it shows without asking it. */
export type Unfitness = 'error' | 'generation' | 'soft' | 'recycle'

/** The reason not to lend the slot's client; `undefined` when it may be lent. */
export function unfitness(
  slot: Slot<PoolClient>,
  generation: number,
  now: number
): Unfitness | undefined {
  if (slot.client?.lost !== undefined) return 'error'
  if (slot.generation < generation) return 'generation'
  if (slot.isSoft) return 'soft'
  if (!slot.isFresh && now > slot.expiresAt) return 'recycle'
  return undefined
}
