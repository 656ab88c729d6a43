import type { Phase, Verdict } from './disconnect.js'

/** Where an error came from. */
export interface ErrorContext {
  readonly phase: Phase
  readonly statement: string | undefined
}

/** An error that says nothing about the session or the server. */
export const OF_STATEMENT: Verdict = { failure: 'statement', scope: 'none' }

/** An error on its way to the application, and what is made of it. */
export class Failure {
  readonly error: unknown
  readonly verdict: Verdict
  readonly phase: Phase

  constructor(error: unknown, verdict: Verdict, phase: Phase) {
    this.error = error
    this.verdict = verdict
    this.phase = phase
  }

  get isDisconnect(): boolean {
    return this.verdict.failure === 'disconnect'
  }
}
