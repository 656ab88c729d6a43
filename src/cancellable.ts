import { onAborted } from './abort-listener.js'
import type { Account } from './account.js'
import type { Client } from './client/client.js'
import type { Runnable } from './client/outbox.js'

/** Runs a query that any of the signals cancels, but not while a COMMIT is under way. */
export function runCancellable<Result>(
  client: Client,
  query: Runnable,
  signals: readonly AbortSignal[] | undefined,
  account: Account,
  onAnswered?: (error?: Error) => void
): Promise<Result> {
  if (signals === undefined) return client.run(query, onAnswered)
  return runWatching(client, query, signals, account, onAnswered)
}

async function runWatching<Result>(
  client: Client,
  query: Runnable,
  signals: readonly AbortSignal[],
  account: Account,
  onAnswered: ((error?: Error) => void) | undefined
): Promise<Result> {
  const cancel = ({ reason }: AbortSignal) => {
    if (!account.isCommitting) client.interrupt(reason, query)
  }
  const watches = signals.map(signal => onAborted(signal, () => cancel(signal)))
  try {
    return await client.run(query, onAnswered)
  } finally {
    for (const unwatch of watches) unwatch()
  }
}
