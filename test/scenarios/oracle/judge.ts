import { isDeepStrictEqual } from 'node:util'
import type { ProtocolMessage } from '../../fixtures/protocol-messages.js'
import { type Answer, describeAnswer } from './client.js'
import type { Finding } from './experiment.js'
import { type RequestKind, SEEN_WITHOUT_ROLE } from './kinds.js'

/**
 * How far the request had come when its connection was cut: `before` the xid of its effects had arrived, after it
 * and before the answer to the Sync or COMMIT that makes them last (`middle`), or `after` that.
 */
export type Phase = 'before' | 'middle' | 'after'

/** What became of a claim about the effects. */
export type Truth = 'truth' | 'unknown' | 'lie'

const STATUSES = [200, 503]

/** The promises that one request has broken, by its answers and the rows with its key that there are in the end. */
export function violationsOf(
  answers: readonly Answer[],
  kind: RequestKind,
  key: string,
  rows: number
): string[] {
  const broken: string[] = []
  const claim = (isKept: boolean, what: string) => {
    if (!isKept) broken.push(what)
  }
  claim(rows === 0 || rows === kind.rows, `${rows} rows: applied twice, or in part`)
  for (const answer of answers) {
    const says = describeAnswer(answer)
    claim(STATUSES.includes(answer.status), `${says}: neither success nor 503`)
    if (answer.status === 503) claim(answer.outcome !== undefined, `${says}: no outcome`)
    if (answer.retryAfter !== undefined) claim(!inDoubt(answer), `${says}: nobody knows`)
  }
  const final = answers.at(-1)
  if (final === undefined) return ['no answer']
  const isTrue = !STATUSES.includes(final.status) || truthOf(final, kind, rows) !== 'lie'
  claim(isTrue, `${describeAnswer(final)}: with ${rows} rows`)
  if (final.retryAfter !== undefined) claim(rows === 0, `${rows} rows, and may be repeated`)
  if (final.status === 200) {
    const isRight = isDeepStrictEqual(final.body, kind.answer(key))
    claim(isRight, `a wrong answer: ${JSON.stringify(final.body)}`)
  }
  return broken
}

/** As {@link violationsOf}, with all that is known in the laboratory. */
export function violationsIn(finding: Finding): string[] {
  const { kind, cut, key, isCut, answers, rowsBeforeRepeat, rows, dialogue, later } = finding
  const broken = violationsOf(answers, kind, key, rows)
  const claim = (isKept: boolean, what: string) => {
    if (!isKept) broken.push(what)
  }
  claim(cut === undefined || isCut, 'the dialogue was another one, and has not come to the cut')
  for (const [index, rowsThen] of rowsBeforeRepeat.entries()) {
    claim(rowsThen === 0, `answer ${index + 1}: ${rowsThen} rows, and may be repeated`)
  }
  claim(answers.at(-1)?.retryAfter === undefined, 'refused again and again, though cut only once')
  const seen = [dialogue, ...later].flat().filter(({ name }) => name === 'DataRow')
  const hasRole = !seen.some(({ detail }) => detail.includes(SEEN_WITHOUT_ROLE))
  claim(hasRole, 'a read ran without the role that its connection had set')
  const isFair = !answers.some(inDoubt) || mayBeUnknown(finding)
  claim(isFair, 'unknown, and nothing was in doubt')
  return broken
}

export function truthOf(answer: Answer, kind: RequestKind, rows: number): Truth {
  if (answer.status === 200) return rows === kind.rows ? 'truth' : 'lie'
  if (answer.outcome === 'unknown') return 'unknown'
  if (answer.outcome === 'applied') return rows > 0 && rows === kind.rows ? 'truth' : 'lie'
  if (answer.outcome === 'none' || answer.outcome === 'rolled_back') {
    return rows === 0 ? 'truth' : 'lie'
  }
  return 'lie'
}

export function phaseOf(dialogue: readonly ProtocolMessage[]): Phase {
  let phase: Phase = 'before'
  let isDone = false
  for (const message of dialogue) {
    if (message.way !== 'toClient' || !message.isPassed) continue
    const { name, detail } = message
    if (isXid(message)) phase = 'middle'
    if (name === 'CommandComplete' && /^(INSERT|COMMIT)/.test(detail)) isDone = true
    // In a transaction its status is T: an INSERT there is not yet for good.
    if (name === 'ReadyForQuery' && detail === 'I' && isDone) phase = 'after'
  }
  return phase
}

/** The row that tells the transaction's id, if it has one. */
export function isXid({ name, statement, detail }: ProtocolMessage): boolean {
  const isAsked = statement.includes('pg_current_xact_id_if_assigned')
  return isAsked && name === 'DataRow' && !detail.startsWith('[null')
}

function inDoubt({ outcome }: Answer): boolean {
  return outcome === 'unknown'
}

/**
 * Only while the statement that decides had been sent and not been answered. Behind a ReadyForQuery it may have been
 * sent into a socket that nobody read from any more. The middle is counted by itself.
 */
function mayBeUnknown({ kind, dialogue }: Finding): boolean {
  const phase = phaseOf(dialogue)
  if (phase !== 'before' || kind.doubt === undefined) return phase === 'middle'
  const arrived = dialogue.filter(({ way }) => way === 'toServer')
  const passed = dialogue.filter(({ isPassed }) => isPassed)
  return (
    passed.at(-1)?.name === 'ReadyForQuery' ||
    arrived.some(({ statement }) => kind.doubt?.test(statement))
  )
}
