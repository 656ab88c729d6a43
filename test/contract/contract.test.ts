import fs from 'node:fs'
import t from 'tap'
import {
  CONTRACT,
  faultsOf,
  findHolders,
  idsInTitles,
  parseScenarios,
  readScenarios,
  render
} from './contract.js'

t.test('the contract is kept: every scenario that is to have a test has one', async t => {
  const chapters = readScenarios()
  const scenarios = chapters.flatMap(chapter => chapter.scenarios)
  t.strictSame(faultsOf(chapters, findHolders()), [])
  t.equal(scenarios.length, 360)
})

t.test('CONTRACT.md says what the tests say', async t => {
  const written = fs.readFileSync(CONTRACT, 'utf8')
  t.equal(render(readScenarios(), findHolders()), written, 'run npm run contract')
})

t.test('a missing test, a needless one and an id that nobody knows are faults', async t => {
  const chapters = parseScenarios('# One\n\nR01 Y it holds\nR02 A so decided\n\nR03 N not here\n')
  t.match(faultsOf(chapters, new Map([['R01', ['a.test.ts']]])), [/no test has R02/])
  const holders = new Map([
    ['R02', ['a.test.ts']],
    ['R03', ['a.test.ts']],
    ['R04', ['a.test.ts', 'b.test.ts']]
  ])
  t.match(faultsOf(chapters, holders), [/no test has R01/, /R03 is said/, /R04, in a.*b/])
})

t.test('a scenario is an id of its own, a use and a text', async t => {
  for (const line of ['R01 Y', 'R1 Y text', 'R01 Z text', 'text', 'R01 Y text\nR01 A again']) {
    t.throws(() => parseScenarios(`# One\n${line}`), /Expected '<id>/, line)
  }
})

t.test('ids count at the beginning of a title, and only in a test that is there', async t => {
  const text = [
    "t.test('R01 X02: it holds', async t => {})",
    'for (const how of ways) {',
    '  t.test(\n    `P03: in every way`,\n    async t => {}\n  )',
    '}',
    "// t.test('R04: it was removed', async t => {})",
    "t.test('see R05: not one of its ids', async t => {})"
  ].join('\n')
  t.strictSame(idsInTitles(text), ['R01', 'X02', 'P03'])
})
