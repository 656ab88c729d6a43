const listening = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `fn` when the signal is aborted; returns what takes that back. However many wait for a signal, it has one
 * listener of ours: Node.js warns of more than ten.
 */
export function onAborted(signal: AbortSignal, fn: () => void): () => void {
  const waiting = listening.get(signal) ?? listen(signal)
  // A wrapper, since the same function may be added twice.
  const entry = () => fn()
  waiting.add(entry)
  return () => {
    waiting.delete(entry)
  }
}

/** @throws the reason of the first that has been aborted */
export function throwIfAborted(signals: readonly AbortSignal[] | undefined): void {
  for (const signal of signals ?? []) signal.throwIfAborted()
}

function listen(signal: AbortSignal): Set<() => void> {
  const waiting = new Set<() => void>()
  listening.set(signal, waiting)
  signal.addEventListener('abort', () => [...waiting].forEach(tell), { once: true })
  return waiting
}

function tell(fn: () => void): void {
  fn()
}
