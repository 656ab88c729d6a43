import type { Connection, Submittable } from 'pg'
import type { Submission } from './client/outbox.js'
import type { Session } from './session.js'

export function isSubmittable(query: unknown): query is Submittable {
  return typeof query === 'object' && query !== null && 'submit' in query
}

/**
 * Hands a library's own query (a cursor, a query stream, COPY) to the session. `pg` returns such an object at once,
 * so it is returned before there is a client; its errors reach it the way `pg`'s do, through `handleError`, as the
 * application is to see them. The session stays busy until the server is ready again.
 */
export function submitTo<Query extends Submittable>(
  session: Session,
  submittable: Query,
  onSubmit: () => void
): Query {
  const submission = submittable as Query & Submission
  const handleError = submission.handleError
  let target: Connection | undefined
  session
    .use(client => {
      onSubmit()
      submission.handleError = (error, connection) => {
        target = connection
        handleError.call(submission, asError(session.fail(client, error, undefined)), connection)
      }
      client.submit(submission)
    })
    .catch((error: unknown) => handleError.call(submission, asError(error), target as Connection))
  return submittable
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
