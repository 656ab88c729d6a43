import type { FieldDef } from 'pg'

/** The part of `pg.Connection` that writes messages; its type declaration asks for arguments that it does not take. */
export interface Wire {
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements: Record<string, string>
  readonly stream: { cork(): void; uncork(): void }
  parse(message: { text: string; name?: string | undefined; types?: unknown }): void
  bind(message: object): void
  describe(message: { type: 'P' }): void
  execute(message: object): void
  flush(): void
  close(message: { type: 'P' | 'S'; name?: string }): void
  sync(): void
  query(text: string): void
  sendCopyFail(reason: string): void
}

export interface CommandCompleteMessage {
  readonly text: string
}

export interface RowDescriptionMessage {
  readonly fields: FieldDef[]
}

export interface DataRowMessage {
  readonly fields: (string | null)[]
}
