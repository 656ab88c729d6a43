import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { TestPostgres } from '../../fixtures/postgres.js'
import { describeDialogue, type ProtocolMessage } from '../../fixtures/protocol-messages.js'
import { type Conversation, type Point, startProtocolProxy } from '../../fixtures/protocol-proxy.js'
import type { TestProxy } from '../../fixtures/proxy.js'
import { listen } from './app.js'
import { type Answer, askObediently } from './client.js'
import { isXid } from './judge.js'
import type { RequestKind } from './kinds.js'
import { watched } from './watchdog.js'

/** Where the request is held: ahead of what has its effects committed, or of what says that they are. */
export type HeldAt = 'before the commit' | 'before its answer'

/** A request whose connection stands still, so that meanwhile the fate of the server can be decided. */
export interface HeldRequest {
  readonly key: string
  /** Of its backend. */
  readonly pid: number
  /** Of its effects; the client knows it if it asked for it. */
  readonly xid: string
  readonly proxy: TestProxy
  /** Cuts the connection, and resolves with the answers. */
  resume(): Promise<Answer[]>
}

export async function holdRequest(
  t: Test,
  postgres: TestPostgres,
  kind: RequestKind,
  at: HeldAt
): Promise<HeldRequest> {
  const protocolProxy = await startProtocolProxy(t, postgres)
  const { proxy } = protocolProxy
  const { app, url } = await listen(proxy.url(postgres.url), [kind])
  t.teardown(() => app.close())
  const { pid } = (await app.inject('/pid')).json<{ pid: number }>()
  const conversation = protocolProxy.of(pid)
  conversation.mark()
  const held =
    at === 'before the commit' ? holdCommit(conversation, kind) : holdAnswer(conversation)

  const key = randomUUID()
  const answers = askObediently(url(kind, key), async () => {})
  const describe = () => describeDialogue(conversation.dialogue)
  await watched(held, describe)
  return {
    key,
    pid,
    xid: await xidOf(postgres, pid, key),
    proxy,
    resume: () => {
      conversation.cut('fin')
      return watched(answers, describe)
    }
  }
}

/** What the client has sent so far is executed, and its answers have arrived; what commits it stays behind. */
async function holdCommit(conversation: Conversation, kind: RequestKind): Promise<void> {
  const { connection } = conversation
  const commits = ({ name, statement }: ProtocolMessage) =>
    kind.doubt?.test('commit') ? kind.doubt.test(statement) : name === 'Sync'
  const commit = reached(conversation, { way: 'toServer', side: 'before', message: commits }, () =>
    connection.freeze('toServer')
  )
  const told = reached(conversation, { way: 'toClient', side: 'after', message: isXid }, () => {})
  await commit
  await told
  connection.freeze('toClient')
}

function holdAnswer(conversation: Conversation): Promise<void> {
  const isAnswer = ({ name, detail }: ProtocolMessage) => name === 'ReadyForQuery' && detail === 'I'
  return reached(conversation, { way: 'toClient', side: 'before', message: isAnswer }, () =>
    conversation.connection.freeze()
  )
}

function reached(conversation: Conversation, point: Point, action: () => void): Promise<void> {
  return new Promise(resolve => {
    conversation.at(point, () => {
      action()
      resolve()
    })
  })
}

/** From the transaction while it runs, from its row once it is committed. */
async function xidOf(postgres: TestPostgres, pid: number, key: string): Promise<string> {
  for (;;) {
    const [found] = await postgres.admin<{ xid: string }>(
      `select backend_xid::text xid from pg_stat_activity where pid = $1 and backend_xid is not null
       union all select xmin::text from effects where key = $2`,
      [pid, key]
    )
    if (found) return found.xid
  }
}

/** An xid behind all that were given out. A snapshot's upper end would not do: it leaves out what still runs. */
export async function nextXid(postgres: TestPostgres): Promise<string> {
  const [next] = await postgres.admin<{ xid: string }>('select pg_current_xact_id()::text xid')
  return next!.xid
}

/** Has a server commit transactions of somebody else's until it has given out all xids below `next`. */
export async function useXids(t: Test, postgres: TestPostgres, next: string): Promise<void> {
  const used = 'select pg_current_xact_id() >= $1::text::xid8 "isPast"'
  while (!(await postgres.admin<{ isPast: boolean }>(used, [next]))[0]?.isPast) t.pass('used one')
}

/** To be sure that it would be taken for an answer, were it asked for. */
export async function assertCommitted(t: Test, postgres: TestPostgres, xid: string): Promise<void> {
  const [found] = await postgres.admin('select pg_xact_status($1::text::xid8) status', [xid])
  t.match(found, { status: 'committed' }, 'the xid names a committed transaction of somebody else')
}
