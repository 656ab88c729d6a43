import type { QueryResult } from 'pg'
import type { Client } from './client/client.js'
import type { Script } from './client/script.js'
import { TransactionStateError } from './errors.js'

/**
 * Runs a text of several statements. No look at its beginning shows whether there is a COMMIT or ROLLBACK in it: where
 * it is part of a transaction (`onEnded` is given), that is found out afterwards, and told.
 *
 * @throws {TransactionStateError} it ended the transaction that it was part of
 */
export async function runScript(
  client: Client,
  script: Script,
  onEnded: ((error: Error) => void) | undefined,
  run: (script: Script) => Promise<unknown> = one => client.run(one)
): Promise<QueryResult> {
  let results: unknown
  try {
    results = await run(script)
  } catch (error) {
    if (onEnded && client.lost === undefined && !client.isInTransaction) onEnded(endedByText())
    throw error
  }
  if (onEnded && (!client.isInTransaction || hasControl(results))) {
    const error = endedByText()
    onEnded(error)
    throw error
  }
  return results as QueryResult
}

/** Whether one transaction was ended and another begun, so that the status looks as if nothing had happened. */
function hasControl(results: unknown): boolean {
  if (!Array.isArray(results)) return false
  return results.some(({ command }) => command === 'BEGIN' || command === 'COMMIT')
}

function endedByText(): TransactionStateError {
  return new TransactionStateError(
    'A text of several statements ended the transaction that it was part of'
  )
}
