/** Far more than any request takes; what takes longer hangs. */
const WATCHDOG_MS = 30_000

/** @throws when the work hangs, with a description of how far it has come */
export async function watched<Result>(
  work: Promise<Result>,
  describe: () => string
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It hangs:\n${describe()}`)), WATCHDOG_MS)
  })
  try {
    return await Promise.race([work, hang])
  } finally {
    clearTimeout(timer)
  }
}
