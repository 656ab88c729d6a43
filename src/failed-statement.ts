const statements = new WeakMap<object, string>()

/** Remembers which statement an error came from, for those who must not repeat its text. */
export function recordStatement(error: unknown, statement: string | undefined): void {
  if (statement !== undefined && error instanceof Error) statements.set(error, statement)
}

/** The text of the statement that an error of the driver or the server came from. */
export function failedStatement(error: Error): string | undefined {
  return statements.get(error)
}
