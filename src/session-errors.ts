/** A ping was not answered in time. The client is given up; whether the others are lost too, a fresh connect tells. */
export class PingTimeoutError extends Error {
  override readonly name = 'PingTimeoutError'

  constructor(milliseconds: number) {
    super(`No answer to a ping within ${milliseconds} ms`)
  }
}

/** The server, or only this session on it, is gone without a word: found from the side while something waited for its answer. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError'
  readonly scope: 'client' | 'generation'

  constructor(scope: 'client' | 'generation') {
    super('The server fell silent and is gone')
    this.scope = scope
  }
}

/** A server that took writes has said that it does so no longer. */
export class NoMoreWritesError extends Error {
  override readonly name = 'NoMoreWritesError'

  constructor() {
    super('The server takes no more writes')
  }
}

/** A statement could not be cancelled in time, or nobody knows what else would be. That client is given up, no other. */
export class CancelError extends Error {
  override readonly name = 'CancelError'

  constructor(cause: unknown) {
    super('A statement could not be cancelled', { cause })
  }
}
