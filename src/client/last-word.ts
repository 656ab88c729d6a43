/** What `pg` passes on of a NoticeResponse. */
interface Notice {
  readonly code?: unknown
  /** The server's own function: one of the application may raise the same state. */
  readonly routine?: unknown
}

/**
 * Whether a notice is a backend's last word: told to stop at once (an immediate shutdown, the crash of another backend),
 * it says so and exits, whatever it was at. What it had not reported complete before that never commits
 * (https://www.postgresql.org/docs/current/server-shutdown.html).
 */
export function isLastWord({ code, routine }: Notice): boolean {
  return routine === 'quickdie' && (code === '57P01' || code === '57P02')
}
