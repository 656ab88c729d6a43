/** Who wants to know how long statements take. */
export interface StatementMeter {
  /** Measures a statement, or, with their number, several in one round trip. */
  measure<Result>(
    text: string | undefined,
    run: () => Promise<Result>,
    batchSize?: number
  ): Promise<Result>
}
