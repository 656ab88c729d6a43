/** What an HTTP client gets. */
export interface Answer {
  /** 0: none at all, or a broken one. */
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: unknown
  /** Of a problem, what it says about the effects. */
  readonly outcome: string | undefined
}

const MAX_REPEATS = 3

/**
 * A client that obeys Retry-After: repeats a request when, and only when, the answer allows it. What it waits for
 * instead of the seconds is up to the caller.
 *
 * @returns all answers, the final one last
 */
export async function askObediently(
  url: string,
  beforeRepeat: (answer: Answer) => Promise<void>
): Promise<Answer[]> {
  const answers: Answer[] = []
  for (;;) {
    const answer = await ask(url)
    answers.push(answer)
    if (answer.retryAfter === undefined || answers.length > MAX_REPEATS) return answers
    await beforeRepeat(answer)
  }
}

async function ask(url: string): Promise<Answer> {
  try {
    const response = await fetch(url, { method: 'POST' })
    const body: unknown = JSON.parse(await response.text())
    return {
      status: response.status,
      retryAfter: response.headers.get('retry-after') ?? undefined,
      body,
      outcome: outcomeIn(body)
    }
  } catch (error) {
    return { status: 0, retryAfter: undefined, body: String(error), outcome: undefined }
  }
}

function outcomeIn(body: unknown): string | undefined {
  const isObject = typeof body === 'object' && body !== null
  return isObject && 'outcome' in body ? String(body.outcome) : undefined
}

export function describeAnswer({ status, retryAfter, outcome, body }: Answer): string {
  const seconds = retryAfter === undefined ? '' : `, Retry-After: ${retryAfter}`
  const words = outcome ?? JSON.stringify(body)
  return `${status} ${words}${seconds}`
}
