import { ControlPart } from './client/parts.js'

/** BEGIN, and in the same flush what is left of the request's time, in milliseconds, for each statement behind it. */
export function beginning(begin: string, timeLeft: number | undefined): ControlPart[] {
  const limits = timeLeft === undefined ? [] : [limitTo(timeLeft)]
  return [new ControlPart(begin), ...limits]
}

/**
 * What goes before a COMMIT, which is not to be cut short: one that waits for a standby would be reported as if that
 * had it too.
 */
export function unlimited(timeLeft: number | undefined): ControlPart[] {
  return timeLeft === undefined ? [] : [limitTo(0)]
}

function limitTo(milliseconds: number): ControlPart {
  return new ControlPart(`SET LOCAL statement_timeout = ${milliseconds}`)
}
