import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { until } from '../../fixtures/open-engine.js'
import type { TestPostgres } from '../../fixtures/postgres.js'
import type { ProtocolMessage, Way } from '../../fixtures/protocol-messages.js'
import { describeDialogue } from '../../fixtures/protocol-messages.js'
import {
  type Conversation,
  type ProtocolProxy,
  startProtocolProxy
} from '../../fixtures/protocol-proxy.js'
import { listen } from './app.js'
import { type Answer, askObediently, describeAnswer } from './client.js'
import type { RequestKind } from './kinds.js'
import { watched } from './watchdog.js'
import { Witness } from './witness.js'

/**
 * By the network, in either way; or the backend is killed, and says so; or, from there on, nothing arrives any more that
 * goes the way of the message, and nobody says so.
 */
export type Ending = 'fin' | 'rst' | 'kill' | 'silence'

/** One place to cut, and how. */
export interface CutPoint {
  readonly way: Way
  readonly side: 'before' | 'after'
  readonly message: number
  readonly how: Ending
}

/** What came of one request. */
export interface Finding {
  readonly kind: RequestKind
  readonly cut: CutPoint | undefined
  /** Whether the dialogue came to the point where it was to be cut. */
  readonly isCut: boolean
  readonly key: string
  readonly answers: readonly Answer[]
  /** How many rows there were after each answer that allowed a repetition, before it was made. */
  readonly rowsBeforeRepeat: readonly number[]
  /** How many there are in the end. */
  readonly rows: number
  /** On the connection that was cut, from the request on. */
  readonly dialogue: readonly ProtocolMessage[]
  /** On those that came after it. */
  readonly later: readonly (readonly ProtocolMessage[])[]
}

/** One proxy, and requests through it, one after the other. */
export class Laboratory {
  readonly #url: string
  readonly #proxy: ProtocolProxy
  readonly #witness: Witness

  private constructor(url: string, proxy: ProtocolProxy, witness: Witness) {
    this.#url = url
    this.#proxy = proxy
    this.#witness = witness
  }

  static async open(t: Pick<Test, 'teardown'>, postgres: TestPostgres): Promise<Laboratory> {
    const proxy = await startProtocolProxy(t, postgres)
    const witness = await Witness.open(t, postgres.url)
    return new Laboratory(proxy.proxy.url(postgres.url), proxy, witness)
  }

  /**
   * Runs one request, on an app of its own (its pool, generation and replay budget are new) whose one connection has
   * served before. Only that one is cut: to connect anew is possible at once. Silence is of the whole network, until it
   * is found out: what it has swallowed arrives then, late.
   *
   * @throws when it hangs, with the dialogue so far
   */
  async run(kind: RequestKind, cut?: CutPoint): Promise<Finding> {
    this.#proxy.forget()
    const isSilence = cut?.how === 'silence'
    const { app, url } = await listen(this.#url, [kind], { ...kind, isWatched: isSilence })
    const warm = await app.inject('/pid')
    const conversation = this.#proxy.of(warm.json<{ pid: number }>().pid)
    conversation.mark()
    if (cut) this.#cutAt(conversation, cut)
    const { proxy } = this.#proxy
    app.db.on('generation', () => {
      if (conversation.isSilent) conversation.tooLate()
      proxy.thaw()
    })

    const key = randomUUID()
    const rowsBeforeRepeat: number[] = []
    const request = async () => {
      const answers = await askObediently(url(kind, key), async () => {
        await this.#witness.untilGone(pids([conversation].filter(isOver)))
        rowsBeforeRepeat.push(await this.#witness.rows(key))
      })
      // A COMMIT that nobody waits for may be under way, and be cut.
      await until(() => app.db.status().checkedOut === 0)
      proxy.thaw()
      await app.close()
      await this.#witness.untilGone(pids(this.#proxy.conversations))
      return answers
    }
    const describe = () => `${describeRun(kind, cut)}\n${this.#describe()}`
    const answers = await watched(request(), describe).catch(error => {
      app.server.closeAllConnections()
      void app.close()
      throw error
    })
    const later = this.#proxy.conversations.filter(other => other !== conversation)
    return {
      kind,
      cut,
      key,
      answers,
      rowsBeforeRepeat,
      isCut: isOver(conversation),
      rows: await this.#witness.rows(key),
      dialogue: withoutGoodbye(conversation.dialogue),
      later: later.map(({ dialogue }) => dialogue)
    }
  }

  #cutAt(conversation: Conversation, cut: CutPoint): void {
    const { how, way } = cut
    if (how === 'kill') {
      conversation.at(cut, () => void conversation.kill(pid => this.#witness.terminate(pid)))
    } else if (how === 'silence') {
      conversation.at(cut, () => {
        conversation.silence(way)
        this.#proxy.proxy.freeze(way)
      })
    } else conversation.cutAt(cut, how)
  }

  #describe(): string {
    return this.#proxy.conversations
      .map(({ dialogue }) => describeDialogue(dialogue))
      .join('\n--\n')
  }
}

export function describeFinding({ kind, cut, answers, rows, dialogue, later }: Finding): string {
  return [
    `${describeRun(kind, cut)}: ${answers.map(describeAnswer).join('; ')}; ${rows} rows`,
    ...[dialogue, ...later].map(describeDialogue)
  ].join('\n--\n')
}

export function describeRun({ name }: RequestKind, cut: CutPoint | undefined): string {
  if (cut === undefined) return `${name}, not cut`
  return `${name}, ${cut.how} ${cut.side} message ${cut.message} ${cut.way}`
}

function isOver({ isCut, isSilent }: Conversation): boolean {
  return isCut || isSilent
}

function pids(conversations: readonly Conversation[]): number[] {
  return conversations.flatMap(({ pid }) => pid ?? [])
}

/** Of `app.close()`, when nothing was cut. */
function withoutGoodbye(dialogue: readonly ProtocolMessage[]): readonly ProtocolMessage[] {
  return dialogue.filter(({ name }) => name !== 'Terminate')
}
