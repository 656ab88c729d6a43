import fs from 'node:fs'
import path from 'node:path'

const TESTS = path.join(import.meta.dirname, '..')
const SCENARIOS = path.join(import.meta.dirname, 'scenarios.txt')

/** Where the rendered table is. */
export const CONTRACT = path.join(TESTS, 'CONTRACT.md')

/**
 * A scenario of the suites of SQLAlchemy and Flask-SQLAlchemy, or one that both lack.
 *
 * - `Y`: it is ours as it is, and has a test
 * - `A`: it is ours as decided in `says`, and has a test
 * - `N`: it has no counterpart here; `says` why
 */
export interface Scenario {
  readonly id: string
  readonly use: 'Y' | 'A' | 'N'
  readonly says: string
}

/** Scenarios under one heading. */
export interface Chapter {
  readonly title: string
  readonly scenarios: readonly Scenario[]
}

/** The test files, by path from test/, that hold each id. */
export type Holders = ReadonlyMap<string, readonly string[]>

const LINE = /^([A-Z]\d\d) ([YAN]) (\S.*)$/
const TITLE = /^\s*t\.test\(\s*(['"`])((?:[A-Z]\d\d )*[A-Z]\d\d): /gm

/** @throws a line is neither a heading nor a scenario, or an id is there twice */
export function parseScenarios(text: string): Chapter[] {
  const chapters: { title: string; scenarios: Scenario[] }[] = []
  const ids = new Set<string>()
  for (const line of text.split('\n')) {
    if (line === '') continue
    const heading = /^# (.+)$/.exec(line)?.[1]
    if (heading !== undefined) {
      chapters.push({ title: heading, scenarios: [] })
      continue
    }
    const [, id, use, says] = LINE.exec(line) ?? []
    if (id === undefined || use === undefined || says === undefined || ids.has(id)) {
      throw new Error(`Expected '<id> <Y, A or N> <text>' with an id of its own, got '${line}'`)
    }
    ids.add(id)
    chapters.at(-1)?.scenarios.push({ id, use: use as Scenario['use'], says })
  }
  return chapters
}

/** The ids in the titles of a test file: they come first and end with a colon. */
export function idsInTitles(text: string): string[] {
  return [...text.matchAll(TITLE)].flatMap(([, , ids]) => ids?.split(' ') ?? [])
}

export function readScenarios(): Chapter[] {
  return parseScenarios(fs.readFileSync(SCENARIOS, 'utf8'))
}

export function findHolders(): Holders {
  const holders = new Map<string, string[]>()
  const files = fs.readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
  const paths = files.map(file => file.replaceAll(path.sep, '/')).sort()
  for (const file of paths.filter(file => file.endsWith('.test.ts'))) {
    for (const id of new Set(idsInTitles(fs.readFileSync(path.join(TESTS, file), 'utf8')))) {
      holders.set(id, [...(holders.get(id) ?? []), file])
    }
  }
  return holders
}

/** One sentence for each scenario that ought to have a test and has none, and for each id that is no scenario's. */
export function faultsOf(chapters: readonly Chapter[], holders: Holders): string[] {
  const scenarios = chapters.flatMap(chapter => chapter.scenarios)
  const ids = new Set(scenarios.map(({ id }) => id))
  const untested = scenarios.filter(({ id, use }) => use !== 'N' && !holders.has(id))
  const pointless = scenarios.filter(({ id, use }) => use === 'N' && holders.has(id))
  const unknown = [...holders].filter(([id]) => !ids.has(id))
  return [
    ...untested.map(({ id, says }) => `no test has ${id} in its title: ${says}`),
    ...pointless.map(({ id }) => `${id} is said to have no counterpart, and has a test`),
    ...unknown.map(([id, files]) => `${id}, in ${files.join(' and ')}, is no scenario's`)
  ]
}

/** The contract as a page: every scenario with the files that hold it. */
export function render(chapters: readonly Chapter[], holders: Holders): string {
  const scenarios = chapters.flatMap(chapter => chapter.scenarios)
  const count = (use: Scenario['use']) => scenarios.filter(one => one.use === use).length
  return [
    '# The contract',
    '',
    'What the test suites of SQLAlchemy and Flask-SQLAlchemy hold their pool to, and what both leave',
    'open (X), as this project keeps it. The titles of the tests begin with the ids:',
    "`grep -rn 'R10' test` finds them.",
    '',
    `Y (${count('Y')}): kept as it is, by tests. A (${count('A')}): kept as decided in the line, by tests.`,
    `N (${count('N')}): has no counterpart here, for the reason in the line.`,
    '',
    'Written by `npm run contract` from `contract/scenarios.txt` and the titles; not to be edited.',
    ...chapters.flatMap(chapter => ['', `## ${chapter.title}`, '', ...table(chapter, holders)]),
    ''
  ].join('\n')
}

function table({ scenarios }: Chapter, holders: Holders): string[] {
  const rows = scenarios.map(({ id, use, says }) => {
    const links = holders.get(id)?.map(file => `[${file.replace('.test.ts', '')}](${file})`) ?? []
    return `| ${id} | ${use} | ${says} | ${links.join(', ')} |`
  })
  return ['| id | use | scenario or decision | tests |', '|---|---|---|---|', ...rows]
}
