import { describeRun, type Ending, type Finding } from './experiment.js'
import { type Phase, phaseOf, truthOf } from './judge.js'

interface Count {
  cuts: number
  truth: number
}

type Counts = Record<Ending, Record<Phase, Count>>

const PHASES: readonly Phase[] = ['before', 'middle', 'after']

/** How often the first answer to a request that was cut was the truth; the others were `unknown`. */
export class Tally {
  readonly #byKind = new Map<string, Counts>()
  readonly #all = noCounts()
  /** Where the client had the xid, and still did not know. */
  readonly unknown: string[] = []
  readonly #endings: readonly Ending[]

  constructor(endings: readonly Ending[]) {
    this.#endings = endings
  }

  add({ kind, cut, answers, rowsBeforeRepeat, rows, dialogue }: Finding): void {
    const [answer] = answers
    if (cut === undefined || answer === undefined) return
    const ofKind = this.#byKind.get(kind.name) ?? noCounts()
    this.#byKind.set(kind.name, ofKind)
    const phase = phaseOf(dialogue)
    const truth = truthOf(answer, kind, rowsBeforeRepeat[0] ?? rows)
    if (phase === 'middle' && truth === 'unknown') this.unknown.push(describeRun(kind, cut))
    for (const counts of [ofKind, this.#all]) {
      counts[cut.how][phase].cuts += 1
      if (truth === 'truth') counts[cut.how][phase].truth += 1
    }
  }

  get cuts(): number {
    return this.#endings
      .flatMap(how => PHASES.map(phase => this.#all[how][phase].cuts))
      .reduce((sum, cuts) => sum + cuts)
  }

  middle(how: Ending): Readonly<Count> {
    return this.#all[how].middle
  }

  /** Lines of `truth of cuts`, by phase. */
  table(): string[] {
    const title = line('', PHASES)
    return [
      title,
      ...[...this.#byKind, ['all', this.#all] as const].flatMap(([name, counts]) =>
        this.#endings.map(how =>
          line(`${name.padEnd(38)} ${how.toUpperCase()}`, cells(counts[how]))
        )
      )
    ]
  }
}

function line(label: string, cells: readonly string[]): string {
  return label.padEnd(42) + cells.map(cell => cell.padStart(14)).join('')
}

function cells(counts: Record<Phase, Count>): string[] {
  return PHASES.map(phase => {
    const { truth, cuts } = counts[phase]
    return cuts === 0 ? '-' : `${truth} of ${cuts}`
  })
}

function noCounts(): Counts {
  const none = () => ({ cuts: 0, truth: 0 })
  const phases = () => ({ before: none(), middle: none(), after: none() })
  return { fin: phases(), rst: phases(), kill: phases(), silence: phases() }
}
