import { onAborted, throwIfAborted } from './abort-listener.js'
import type { Account } from './account.js'
import type { Client } from './client/client.js'
import type { Runnable } from './client/outbox.js'

/**
 * Runs a query that any of the signals cancels, but not while a COMMIT is under way; `isFirst` as in
 * {@link Client.runFirst}.
 */
export function runCancellable<Result>(
  client: Client,
  query: Runnable,
  signals: readonly AbortSignal[] | undefined,
  account: Account,
  onAnswered?: (error?: Error) => void,
  isFirst = false
): Promise<Result> {
  const run = () => {
    return isFirst
      ? client.runFirst<Result>(query, onAnswered)
      : client.run<Result>(query, onAnswered)
  }
  if (signals === undefined) return run()
  return runWatching(client, query, signals, account, run)
}

async function runWatching<Result>(
  client: Client,
  query: Runnable,
  signals: readonly AbortSignal[],
  account: Account,
  run: () => Promise<Result>
): Promise<Result> {
  const cancel = ({ reason }: AbortSignal) => {
    // What was not written yet is only taken out.
    if (!account.isCommitting || !query.isSubmitted) client.interrupt(reason, query)
  }
  throwIfAborted(signals)
  const watches = signals.map(signal => onAborted(signal, () => cancel(signal)))
  try {
    return await run()
  } finally {
    for (const unwatch of watches) unwatch()
  }
}
