import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { checked, HttpError } from '../http-error.js'
import { cents } from '../money.js'

interface Account {
  id: number
  owner: string
  /** In cents. `pg` reads a bigint as text, which is how we pass it on. */
  balance: string
}

export const accountId = z.int32().min(1)

const idParams = z.strictObject({ id: z.coerce.number().pipe(accountId) })

const newAccount = z.strictObject({
  owner: z.string().trim().min(1).max(100),
  balance: cents.default(0n)
})

const page = z.strictObject({
  /** The last id of the page before. */
  after: z.coerce.number().pipe(z.int32().min(0)).default(0),
  limit: z.coerce.number().pipe(z.int().min(1).max(100)).default(20)
})

export const accounts: FastifyPluginAsync = async app => {
  app.get('/', async request => {
    const { after, limit } = checked(page, request.query)
    const { rows } = await request.db.query<Account>(
      'select id, owner, balance from accounts where id > $1 order by id limit $2',
      [after, limit]
    )
    return { accounts: rows, next: rows.length < limit ? null : rows.at(-1)?.id }
  })

  app.get('/:id', async request => {
    const { id } = checked(idParams, request.params)
    const { rows } = await request.db.query<Account>(
      'select id, owner, balance from accounts where id = $1',
      [id]
    )
    const [account] = rows
    if (account === undefined) throw new HttpError(404, 'NO_ACCOUNT', `There is no account ${id}`)
    return account
  })

  app.post('/', async (request, reply) => {
    const { owner, balance } = checked(newAccount, request.body)
    const { rows } = await request.db.query<Account>(
      'insert into accounts (owner, balance) values ($1, $2) returning id, owner, balance',
      [owner, balance]
    )
    return reply.code(201).header('location', `/accounts/${rows[0]?.id}`).send(rows[0])
  })
}
