import t from 'tap'
import { DisconnectedError } from '../src/errors.js'
import { recordStatement } from '../src/failed-statement.js'
import { replyBody } from '../src/reply-body.js'

const QUERY = 'select * from "users" where "token" = $1'
const SECRET = `Failed query: ${QUERY}\nparams: s3cret`

/** What Fastify's default error handler makes of an error. */
function defaultBody(error: Error, status: number): string {
  const code: unknown = Reflect.get(error, 'code')
  return JSON.stringify({ statusCode: status, code, error: 'Error', message: error.message })
}

function databaseError(): Error {
  const error = new Error('duplicate key value violates unique constraint "users_pkey"')
  recordStatement(error, QUERY)
  return Object.assign(error, { code: '23505' })
}

t.test('our own error is sent as it is', t => {
  const error = new DisconnectedError()
  const body = defaultBody(error, 503)
  t.equal(replyBody(body, error, 503), body)
  t.end()
})

t.test('ours within another’s is told as ours, with its code', t => {
  const cause = new DisconnectedError()
  const inner = new Error('retries exhausted', { cause })
  const thrown = new Error(SECRET, { cause: inner })
  t.same(JSON.parse(replyBody(defaultBody(thrown, 503), thrown, 503)), {
    statusCode: 503,
    code: 'FST_DB_DISCONNECTED',
    error: 'Error',
    message: cause.message
  })
  t.end()
})

t.test('a statement that is quoted by what wraps its error is left out', t => {
  const thrown = new Error(SECRET, { cause: databaseError() })
  const body = JSON.parse(replyBody(defaultBody(thrown, 500), thrown, 500))
  t.same(body, { statusCode: 500, error: 'Error', message: 'Internal Server Error' })
  t.end()
})

t.test('a message without the statement is the application’s to send', t => {
  const cause = databaseError()
  const thrown = new Error('This name is taken', { cause })
  for (const error of [thrown, cause, new Error('no database')]) {
    const body = defaultBody(error, 500)
    t.equal(replyBody(body, error, 500), body)
  }
  t.end()
})

t.test('so is a body that the default error handler has not made', t => {
  const thrown = new Error(SECRET, { cause: new DisconnectedError() })
  for (const body of ['', 'text', '[]', '{"message":"own"}', JSON.stringify({ own: SECRET })]) {
    t.equal(replyBody(body, thrown, 503), body)
  }
  t.end()
})
