import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from './config.js'

const SECOND = 1000
const CENTS = 1_000_000

const { HOST, PORT } = loadConfig()
const answers = new Map<string, number>()
let slowest = 0

interface Answer {
  status: number
  retryAfter: string | null
  body: { id?: number; balance?: string; code?: string; [member: string]: unknown }
}

async function send(method: string, path: string, content?: object): Promise<Answer> {
  const response = await fetch(`http://${HOST}:${PORT}${path}`, {
    method,
    ...(content && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(content)
    })
  })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Answer['body']
  }
}

/** One cent, sent again with the same id for as long as the service says that this is safe. */
async function transfer(from: number, to: number): Promise<number> {
  const content = { id: randomUUID(), from, to, amount: 1 }
  for (;;) {
    const sentAt = performance.now()
    const answer = await send('POST', '/transfers', content)
    slowest = Math.max(slowest, performance.now() - sentAt)
    count(answer)
    if (answer.status < 300) return 1
    if (answer.retryAfter === null) return 0
    await sleep(Number(answer.retryAfter) * SECOND)
  }
}

function count({ status, retryAfter, body }: Answer): void {
  const advice = retryAfter === null ? '' : ` (Retry-After: ${retryAfter}; sent again)`
  const line = `${status} ${body.code ?? 'made'}${advice}`
  answers.set(line, (answers.get(line) ?? 0) + 1)
}

async function openAccount(owner: string): Promise<number> {
  const { body } = await send('POST', '/accounts', { owner, balance: CENTS })
  if (body.id === undefined) throw new Error(`No account: ${JSON.stringify(body)}`)
  return body.id
}

/** Eight clients for three seconds; the fault comes after the first one. */
async function underLoad(fault: string, from: number, to: number): Promise<number> {
  console.log(`Transfers by 8 clients for 3 seconds; POST ${fault} after the first one`)
  const end = performance.now() + 3 * SECOND
  const client = async () => {
    let made = 0
    while (performance.now() < end) made += await transfer(from, to)
    return made
  }
  const cause = async () => {
    await sleep(SECOND)
    const { status } = await send('POST', fault)
    if (status === 404) console.log('Only with the embedded PostgreSQL: unset DATABASE_URL')
    return 0
  }
  return sum([cause(), ...Array.from({ length: 8 }, client)])
}

async function atOnce(clients: number, from: number, to: number): Promise<number> {
  console.log(`${clients} transfers at once`)
  return sum(Array.from({ length: clients }, () => transfer(from, to)))
}

async function sum(parts: Promise<number>[]): Promise<number> {
  return (await Promise.all(parts)).reduce((total, part) => total + part, 0)
}

const EXPERIMENTS: Record<string, (from: number, to: number) => Promise<number>> = {
  kill: (from, to) => underLoad('/faults/kill', from, to),
  restart: (from, to) => underLoad('/faults/restart', from, to),
  flood: (from, to) => atOnce(300, from, to)
}

async function run(name: string | undefined): Promise<void> {
  const experiment = EXPERIMENTS[name ?? '']
  if (experiment === undefined) throw new Error(`Expected ${Object.keys(EXPERIMENTS).join(', ')}`)

  const from = await openAccount('From')
  const to = await openAccount('To')
  const made = await experiment(from, to)
  for (const [line, times] of answers) console.log(`${String(times).padStart(8)} × ${line}`)
  const { body } = await send('GET', `/accounts/${to}`)
  console.log(`Balance: ${CENTS + made} expected, ${body.balance} found`)
  console.log(`Slowest answer: ${Math.round(slowest)} ms`)
}

try {
  await run(process.argv[2])
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  // What fetch throws when nobody answers.
  if (error instanceof TypeError) console.error(`"npm run example" starts it, on ${HOST}:${PORT}`)
  process.exitCode = 1
}
