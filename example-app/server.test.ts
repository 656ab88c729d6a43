import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { programEnvironment } from '../test/fixtures/program-environment.js'

t.test('without DATABASE_URL it serves from a PostgreSQL of its own, until SIGTERM', async t => {
  const { server, lines } = run(t, { PORT: '0' })
  const urls = await untilReady(lines)
  const accounts = await fetch(urls.http)
  t.equal(accounts.status, 200)
  t.same(await accounts.json(), { accounts: [], next: null })

  server.kill('SIGTERM')
  const [code] = await once(server, 'exit')
  t.equal(code, 0)
  await t.rejects(new pg.Client(urls.postgres).connect(), { code: 'ECONNREFUSED' })
})

t.test('it says which variable is wrong, and ends', async t => {
  const { server, errors } = run(t, { PORT: 'http' })
  const [[code], text] = await Promise.all([once(server, 'close'), errors.toArray()])
  t.equal(code, 1)
  t.match(text.join(''), /PORT/)
})

t.test('a wrong ENGINE_OPTIONS key ends it as well, and the PostgreSQL with it', async t => {
  const { server, errors } = run(t, { PORT: '0', ENGINE_OPTIONS__POOL_SIZE: 'many' })
  const [[code], text] = await Promise.all([once(server, 'close'), errors.toArray()])
  t.equal(code, 1)
  t.match(text.join(''), 'pool_size: expected a whole number, 0 or more, got "many" (string)')
})

function run(t: Test, variables: NodeJS.ProcessEnv) {
  const program = fileURLToPath(new URL('server.ts', import.meta.url))
  const args = ['--import', 'tsx', '--conditions=fastify-pg-engine:source', program]
  const env = programEnvironment({ DATABASE_URL: '', LOG_LEVEL: 'warn', ...variables })
  const server = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => server.kill('SIGKILL'))
  const errors = server.stderr.setEncoding('utf8')
  return { server, errors, lines: createInterface(server.stdout) }
}

async function untilReady(lines: AsyncIterable<string>) {
  let postgres: string | undefined
  for await (const line of lines) {
    postgres ??= /postgres:\S+/.exec(line)?.[0]
    const [http] = /http:\S+/.exec(line) ?? []
    if (http !== undefined) return { http, postgres }
  }
  throw new Error('The server has ended')
}
