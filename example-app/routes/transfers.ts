import type { FastifyPluginAsync } from 'fastify'
import type { Queryable } from 'fastify-pg-engine'
import { z } from 'zod'
import { checked, HttpError } from '../http-error.js'
import { cents } from '../money.js'
import { accountId } from './accounts.js'

interface Transfer {
  id: string
  from: number
  to: number
  amount: string
  createdAt: Date
}

const COLUMNS = `id, from_account "from", to_account "to", amount, created_at "createdAt"`

const idParams = z.strictObject({ id: z.uuid() })

const newTransfer = z
  .strictObject({
    /** Of the client's making: whoever sends it again gets the transfer that was made, and no second one. */
    id: z.uuid(),
    from: accountId,
    to: accountId,
    amount: cents.refine(amount => amount > 0n, { error: 'expected more than 0 cents' })
  })
  .refine(({ from, to }) => from !== to, { error: 'expected two different accounts' })

type NewTransfer = z.output<typeof newTransfer>

/** By us, a few times, where nothing is left of it: after a lost connection, a deadlock, a serialization failure. */
const RETRIES = { retries: 2 }

/** By the client, with its id: so Retry-After may be sent even if nobody knows whether it was made. */
const REPEATABLE = { db: { idempotent: true } }

export const transfers: FastifyPluginAsync = async app => {
  app.get('/:id', async request => {
    const { id } = checked(idParams, request.params)
    const transfer = await findTransfer(request.db, id)
    if (transfer === undefined)
      throw new HttpError(404, 'NO_TRANSFER', `There is no transfer ${id}`)
    return transfer
  })

  app.post('/', { config: REPEATABLE }, async (request, reply) => {
    const wanted = checked(newTransfer, request.body)
    const { isNew, transfer } = await request.db.transaction(
      db => makeTransfer(db, wanted),
      RETRIES
    )
    reply.header('location', `/transfers/${transfer.id}`)
    return reply.code(isNew ? 201 : 200).send(transfer)
  })
}

async function makeTransfer(db: Queryable, wanted: NewTransfer) {
  const { id, from, to, amount } = wanted
  const balances = await lockAccounts(db, [from, to])
  const made = await findTransfer(db, id)
  if (made !== undefined) return { isNew: false, transfer: sameTransfer(made, wanted) }

  const missing = [from, to].find(account => !balances.has(account))
  if (missing !== undefined)
    throw new HttpError(404, 'NO_ACCOUNT', `There is no account ${missing}`)
  if ((balances.get(from) ?? 0n) < amount) {
    throw new HttpError(409, 'INSUFFICIENT_FUNDS', `Account ${from} has less than ${amount} cents`)
  }

  await db.query('update accounts set balance = balance - $2 where id = $1', [from, amount])
  await db.query('update accounts set balance = balance + $2 where id = $1', [to, amount])
  const { rows } = await db.query<Transfer>(
    `insert into transfers (id, from_account, to_account, amount) values ($1, $2, $3, $4)
     on conflict (id) do nothing
     returning ${COLUMNS}`,
    [id, from, to, amount]
  )
  const [transfer] = rows
  // Between other accounts, and at the same time: no lock of ours was in its way.
  if (transfer === undefined) throw idTaken(id)
  return { isNew: true, transfer }
}

/** In the order of their ids, always: two transfers in opposite directions wait for each other and never deadlock. */
async function lockAccounts(db: Queryable, ids: number[]): Promise<Map<number, bigint>> {
  const { rows } = await db.query<{ id: number; balance: string }>(
    'select id, balance from accounts where id = any($1) order by id for no key update',
    [ids]
  )
  return new Map(rows.map(({ id, balance }) => [id, BigInt(balance)]))
}

async function findTransfer(db: Queryable, id: string): Promise<Transfer | undefined> {
  const { rows } = await db.query<Transfer>(`select ${COLUMNS} from transfers where id = $1`, [id])
  return rows[0]
}

/** @throws {HttpError} 409: the id stands for another transfer */
function sameTransfer(made: Transfer, { from, to, amount }: NewTransfer): Transfer {
  if (made.from === from && made.to === to && BigInt(made.amount) === amount) return made
  throw idTaken(made.id)
}

function idTaken(id: string): HttpError {
  return new HttpError(409, 'ID_TAKEN', `${id} is the id of another transfer`)
}
