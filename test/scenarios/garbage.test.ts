import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { startPostgres } from '../fixtures/postgres.js'
import { programEnvironment } from '../fixtures/program-environment.js'

const postgres = await startPostgres(t)
const script = fileURLToPath(new URL('../fixtures/statement-garbage.ts', import.meta.url))

t.test('what a statement has used is collected while it is young', async t => {
  // In optimized code it depends on chance what is kept.
  const args = ['--expose-gc', '--no-opt', '--import', 'tsx', script, postgres.url]
  const env = programEnvironment()
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  t.ok(Number(stdout) < 1000, `${stdout} bytes of a statement are kept`)
})
