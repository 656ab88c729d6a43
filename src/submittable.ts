import type { Connection, Submittable } from 'pg'
import type { Client } from './client/client.js'
import type { Submission } from './client/outbox.js'
import type { Delivery } from './delivery.js'
import type { Session } from './session.js'

export function isSubmittable(query: unknown): query is Submittable {
  if (typeof query !== 'object' || query === null) return false
  return 'submit' in query && typeof query.submit === 'function'
}

/**
 * Hands a library's own query (a cursor, a query stream, COPY) to the session. `pg` returns such an object at once,
 * so it is returned before there is a client; its errors reach it the way `pg`'s do, through `handleError`, as the
 * application is to see them. The session stays busy until the server is ready again.
 */
export function submitTo<Query extends Submittable>(
  session: Session,
  delivery: Delivery,
  submittable: Query
): Query {
  const submission = submittable as Query & Submission
  const handleError = submission.handleError
  const text = textOf(submittable)
  const { transaction } = delivery
  const signals = transaction?.signal && [transaction.signal]
  let target: Connection | undefined
  const submit = (client: Client) => {
    submission.handleError = (error, connection) => {
      if (client.isOver(submission)) return
      target = connection
      const reason = session.failures.reasonFor(client, error, signals)
      const failure = reason ? reason.thrown : session.failures.judge(client, error)
      const explained = session.failures.explain(failure, text)
      handleError.call(submission, asError(explained), connection)
      tellReader(submission, explained)
    }
    client.submit(submission)
    transaction?.onAborted(reason => {
      client.interrupt(reason, submission)
      session.abandonUnless(() => client.isOver(submission), client, reason)
    })
  }
  delivery.lending
    .lend(text, submit, { statement: text, signals })
    .catch((error: unknown) => handleError.call(submission, asError(error), target as Connection))
  return submittable
}

/**
 * A cursor that has seen the end of its rows does not hear of errors any more. If it is lost before the server is ready
 * again, whoever waits for the last of them waits for good. A test holds this against the installed `pg-cursor`.
 */
function tellReader(submission: object, error: unknown): void {
  const cursor: object = cursorIn(submission) ?? submission
  const reader: unknown = Reflect.get(cursor, '_cb')
  if (Reflect.get(cursor, 'state') !== 'done' || typeof reader !== 'function') return
  Reflect.set(cursor, '_cb', null)
  reader(error)
}

function cursorIn(submission: object): object | undefined {
  const cursor: unknown = Reflect.get(submission, 'cursor')
  return typeof cursor === 'object' && cursor !== null ? cursor : undefined
}

/** Cursors and streams carry their text, the latter inside the cursor they wrap. */
export function textOf(submittable: object): string | undefined {
  const text: unknown = Reflect.get(submittable, 'text')
  if (typeof text === 'string') return text
  const cursor = cursorIn(submittable)
  const inner: unknown = cursor && Reflect.get(cursor, 'text')
  return typeof inner === 'string' ? inner : undefined
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
