import { z } from 'zod'

/** Far below the 9.2e18 that a bigint of PostgreSQL holds, so that sums stay in it. */
const MAX_CENTS = 1_000_000_000_000_000n

const EXPECTED = `expected whole cents from 0 to ${MAX_CENTS}, as a number or as text such as "1250"`

/** Money as JSON brings it. A number beyond 2^53 has lost its last digits on the way, so it is refused. */
export const cents = z
  .union([z.int(), z.string().regex(/^\d{1,16}$/)], { error: EXPECTED })
  .transform(value => BigInt(value))
  .refine(value => value >= 0n && value <= MAX_CENTS, { error: EXPECTED })
