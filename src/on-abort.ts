/**
 * What becomes of a request's statements when its HTTP client has left. Requests of a safe method (GET, HEAD …) are
 * always cancelled; for the others:
 *
 * - `cancel-reads`: cancelled, unless something that has an effect is under way; then the request may finish
 * - `cancel`: cancelled, whatever they do
 * - `finish`: the request may finish
 *
 * A COMMIT is never cancelled. To finish means within `close_timeout`.
 */
export type OnAbort = (typeof ON_ABORT)[number]

export const ON_ABORT = ['cancel-reads', 'cancel', 'finish'] as const

/** Whether the request may go on though nobody waits for its answer. */
export function mayFinish(policy: OnAbort, isSafe: boolean, isWriting: boolean): boolean {
  if (isSafe || policy === 'cancel') return false
  return policy === 'finish' || isWriting
}
